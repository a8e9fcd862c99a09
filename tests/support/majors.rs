//! One definition is not the same text on all majors. Between servers of two, statements of dumps are compared in the form that both could say.

use crate::install::Install;

/// A statement of a dump in the common form, which may be several or none; as it is between servers of one major.
pub fn common(statement: &str) -> Vec<String> {
    between(Install::get().major(), Install::destination().major(), statement)
}

fn between(a: u32, b: u32, statement: &str) -> Vec<String> {
    // What others may do in a new database.
    const PUBLIC: [&str; 2] = ["GRANT ALL ON SCHEMA public TO PUBLIC", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"];
    let differs_from = |major: u32| (a < major) != (b < major);
    if differs_from(15) && PUBLIC.contains(&statement) {
        return Vec::new();
    }
    let members = if differs_from(14) { members_of_family(statement) } else { None };
    members.unwrap_or_else(|| vec![rewritten(statement, differs_from)])
}

/// From 14 on what an operator class can do without belongs to its family: here all members do.
fn members_of_family(statement: &str) -> Option<Vec<String>> {
    let (mut statements, family, members) = match statement.strip_prefix("CREATE OPERATOR CLASS ") {
        Some(class) => {
            let (head, members) = class.split_once(" AS\n    ")?;
            let (of_type, family) = head.split_once(" FAMILY ")?;
            let (_, method) = of_type.rsplit_once(" USING ")?;
            (vec![format!("CREATE OPERATOR CLASS {head}")], format!("{family} USING {method}"), members)
        }
        None => {
            let (family, members) = statement.strip_prefix("ALTER OPERATOR FAMILY ")?.split_once(" ADD\n    ")?;
            (Vec::new(), family.to_owned(), members)
        }
    };
    let each = members.split(" ,\n    ").map(|member| format!("ALTER OPERATOR FAMILY {family} ADD {member}"));
    statements.extend(each);
    Some(statements)
}

fn rewritten(statement: &str, differs_from: impl Fn(u32) -> bool) -> String {
    let mut text = statement.to_owned();
    if differs_from(18) && text.starts_with("CREATE TABLE ") {
        text = without_names_of_not_null(&text);
    }
    if differs_from(17) && text.starts_with("GRANT ALL ON TABLE ") {
        // There is one privilege more.
        let seven = "GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE ";
        text = text.replacen("GRANT ALL ON TABLE ", seven, 1);
    }
    const VIEWS: [&str; 3] = ["CREATE VIEW ", "CREATE OR REPLACE VIEW ", "CREATE MATERIALIZED VIEW "];
    if differs_from(16) && VIEWS.iter().any(|start| text.starts_with(start)) {
        text = without_the_only_table(&text);
    }
    if differs_from(14) && text.starts_with("CREATE PROCEDURE ") {
        text = text.replacen("(IN ", "(", 1).replace(", IN ", ", ");
    }
    if differs_from(14) && text.starts_with("CREATE TYPE ") {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("multirange_type_name = "));
        text = lines.map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join("\n");
    }
    text
}

/// From 18 on they are constraints, whose names stay when the column or the table gets another.
fn without_names_of_not_null(text: &str) -> String {
    const WORD: &str = "CONSTRAINT ";
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(WORD) {
        let (before, from) = rest.split_at(at);
        let after = &from[WORD.len()..];
        let name = length_of_name(after);
        result.push_str(before);
        let keeps = !after[name..].starts_with(" NOT NULL");
        result.push_str(if keeps { &from[..WORD.len() + name] } else { "" });
        rest = if keeps { &after[name..] } else { &after[name + 1..] };
    }
    result + rest
}

fn length_of_name(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('"') else {
        return text.find([' ', '\n', ',']).unwrap_or(text.len());
    };
    let end = inside.replace("\"\"", "__").find('"');
    end.map_or(text.len(), |end| end + 2)
}

/// From 16 on a view of one table, or of what one function returns, names its columns without it.
fn without_the_only_table(text: &str) -> String {
    let Some((_, from)) = text.split_once("\n   FROM ") else { return text.to_owned() };
    let from = from.lines().next().unwrap_or(from);
    let table = &from[..from.find(' ').unwrap_or(from.len())];
    // A function is followed by the name of its row, with those of its columns.
    let row = from.split_once("() ").map(|(_, row)| &row[..row.find('(').unwrap_or(row.len())]);
    let name = row.unwrap_or_else(|| table.rsplit('.').next().unwrap_or(table));
    let is_one = !name.is_empty() && !table.starts_with('(') && !from.contains(',');
    if !is_one {
        return text.to_owned();
    }
    [" ", "("].iter().fold(text.to_owned(), |text, before| text.replace(&format!("{before}{name}."), before))
}

#[cfg(test)]
mod tests {
    fn between(a: u32, b: u32, statement: &str) -> String {
        super::between(a, b, statement).concat()
    }

    #[test]
    fn servers_of_one_major_print_alike() {
        let text = "CREATE TABLE s.t (\n    id integer CONSTRAINT k NOT NULL\n)";
        assert_eq!(between(18, 18, text), text);
        assert_eq!(between(13, 17, text), text);
    }

    #[test]
    fn not_null_has_no_name_before_18() {
        let text = "CREATE TABLE s.t (\n    id integer CONSTRAINT k NOT NULL,\n    v text CONSTRAINT \"a \"\" b\" NOT NULL,\n    CONSTRAINT c CHECK ((id > 0))\n)";
        let expected =
            "CREATE TABLE s.t (\n    id integer NOT NULL,\n    v text NOT NULL,\n    CONSTRAINT c CHECK ((id > 0))\n)";
        assert_eq!(between(13, 18, text), expected);
        assert_eq!(between(13, 18, expected), expected);
    }

    #[test]
    fn all_is_another_list_from_17_on() {
        let seven = "GRANT SELECT,INSERT,REFERENCES,DELETE,TRIGGER,TRUNCATE,UPDATE ON TABLE s.t TO r";
        assert_eq!(between(13, 18, "GRANT ALL ON TABLE s.t TO r"), seven);
        assert_eq!(between(13, 18, seven), seven);
    }

    #[test]
    fn a_view_of_one_table() {
        let early = "CREATE VIEW s.w AS\n SELECT t.id,\n    length(t.v) AS l\n   FROM s.t\n  WHERE (t.id > 0)";
        let late = "CREATE VIEW s.w AS\n SELECT id,\n    length(v) AS l\n   FROM s.t\n  WHERE (id > 0)";
        assert_eq!(between(15, 16, early), late);
        assert_eq!(between(15, 16, late), late);
        let early = "CREATE OR REPLACE VIEW s.w AS\n SELECT f.id\n   FROM s.f() f(id)";
        assert_eq!(between(15, 16, early), "CREATE OR REPLACE VIEW s.w AS\n SELECT id\n   FROM s.f() f(id)");
        let joined = "CREATE VIEW s.w AS\n SELECT t.id\n   FROM (s.t\n     JOIN s.o ON ((o.t_id = t.id)))";
        assert_eq!(between(15, 16, joined), joined);
    }

    #[test]
    fn a_new_database_lets_others_do_less_from_15_on() {
        let grant = "GRANT ALL ON SCHEMA public TO PUBLIC";
        assert_eq!(super::between(13, 18, grant), Vec::<String>::new());
        assert_eq!(between(15, 18, grant), grant);
    }

    #[test]
    fn members_of_a_class_may_be_those_of_its_family_from_14_on() {
        let head = "CREATE OPERATOR CLASS s.k\n    FOR TYPE integer USING hash FAMILY s.f AS\n    ";
        let early =
            format!("{head}OPERATOR 1 =(integer,integer) ,\n    FUNCTION 2 (integer, integer) s.h(integer,bigint)");
        let late = [
            &format!("{head}OPERATOR 1 =(integer,integer)"),
            "ALTER OPERATOR FAMILY s.f USING hash ADD\n    FUNCTION 2 (integer, integer) s.h(integer,bigint)",
        ];
        let separate = late.iter().flat_map(|statement| super::between(13, 14, statement)).collect::<Vec<_>>();
        assert_eq!(super::between(13, 14, &early), separate);
        assert_eq!(separate.len(), 3);
        assert_eq!(super::between(14, 18, &early), [early]);
    }

    #[test]
    fn what_14_brought() {
        assert_eq!(
            between(13, 14, "CREATE PROCEDURE s.p(IN a integer, IN b text)"),
            "CREATE PROCEDURE s.p(a integer, b text)"
        );
        let late =
            "CREATE TYPE s.r AS RANGE (\n    subtype = int,\n    multirange_type_name = s.m,\n    subtype_diff = f\n)";
        let early = "CREATE TYPE s.r AS RANGE (\n    subtype = int,\n    subtype_diff = f\n)";
        assert_eq!(between(13, 14, late), between(13, 14, early));
    }
}
