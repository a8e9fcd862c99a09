        -- Those of the given objects that are no relations.
        UNION ALL
        -- An array stands for its element, the row type of a table for the table.
        SELECT CASE WHEN c.relkind IN ('r', 'p') THEN 1259 ELSE 1247 END,
               CASE WHEN c.relkind IN ('r', 'p') THEN c.oid ELSE COALESCE(e.oid, y.oid) END
          FROM pg_type y
          LEFT JOIN pg_type e ON e.oid = y.typelem AND e.typarray = y.oid
          LEFT JOIN pg_class c ON c.oid = COALESCE(NULLIF(e.typrelid, 0), y.typrelid)
         WHERE a.class = 1247 AND y.oid = a.oid
        UNION ALL
        SELECT CASE WHEN k.conrelid <> 0 THEN 1259 ELSE 1247 END, CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END
          FROM pg_constraint k
         WHERE a.class = 2606 AND k.oid = a.oid
        UNION ALL
        SELECT 1259, d.adrelid FROM pg_attrdef d WHERE a.class = 2604 AND d.oid = a.oid
        UNION ALL
        SELECT 1259, g.tgrelid FROM pg_trigger g WHERE a.class = 2620 AND g.oid = a.oid
        UNION ALL
        SELECT 1259, p.polrelid FROM pg_policy p WHERE a.class = 3256 AND p.oid = a.oid
        UNION ALL
        SELECT 1259, w.ev_class FROM pg_rewrite w WHERE a.class = 2618 AND w.oid = a.oid
        UNION ALL
        SELECT 1259, s.stxrelid FROM pg_statistic_ext s WHERE a.class = 3381 AND s.oid = a.oid
        UNION ALL
        -- Schemas, extensions, collations, functions; operators, casts, conversions, text search dictionaries and configurations; operator
        -- families and classes.
        SELECT a.class, a.oid WHERE a.class IN (2615, 3079, 3456, 1255, 2617, 2605, 2607, 3600, 3602, 2753, 2616)
        UNION ALL
        -- A class may have made its family, and what is added to a family may belong to one of its classes.
        SELECT 2753, o.opcfamily FROM pg_opclass o WHERE a.class = 2616 AND o.oid = a.oid
        UNION ALL
        SELECT 2616, d.objid FROM pg_depend d WHERE a.class = 2753 AND d.refclassid = 2753 AND d.refobjid = a.oid AND d.classid = 2616
