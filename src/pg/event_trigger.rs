//! `commands/event_trigger.h`: what an event trigger is called for, and what the commands that have just ended did.
//!
//! The two functions that tell it in SQL are called without SQL, which costs more than they do. They show the table of a command; what
//! else it touched (a partition that was attached, the objects of a GRANT) is in the structure that their column `command` points to.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::pg::{compat, encoding, guard};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FiringPoint {
    CommandEnd,
    /// Objects are gone.
    Drop,
    /// The rows of a table are about to be written anew; its definition is the new one already.
    Rewrite,
}

/// A call of an event trigger function.
pub struct Fired {
    pub point: FiringPoint,
    /// As people know it: `ALTER TABLE`.
    pub tag: String,
    parsetree: *mut pg_sys::Node,
}

/// An object that a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Catalog and oid.
    pub class: u32,
    pub oid: u32,
    /// The tag of this command, which may be a part of the one that the trigger fires for.
    pub tag: String,
    /// ALTER TABLE only attached partitions to it, or detached them.
    pub has_other_partitions: bool,
    /// A partition that was detached without a lock that readers wait for.
    pub left_concurrently: bool,
    /// Of the object that the command names, if its catalog has one; `pg_temp` for all temporary ones.
    pub schema: Option<String>,
}

/// An object that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub class: u32,
    pub oid: u32,
    /// A column's number, else 0.
    pub part: i32,
    pub is_temporary: bool,
    /// `table`, `index`, `table column` ...
    pub kind: String,
    pub schema: Option<String>,
    /// As the server names it.
    pub identity: String,
}

/// None outside of event triggers.
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the server's argument of a function it calls")]
pub fn fired(fcinfo: pg_sys::FunctionCallInfo) -> Option<Fired> {
    // SAFETY: the server's own arguments; a context says what it is. Texts are C strings.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            return None;
        }
        let data = context.cast::<pg_sys::EventTriggerData>();
        let point = match CStr::from_ptr((*data).event).to_bytes() {
            b"ddl_command_end" => FiringPoint::CommandEnd,
            b"sql_drop" => FiringPoint::Drop,
            b"table_rewrite" => FiringPoint::Rewrite,
            _ => return None,
        };
        let tag = encoding::to_utf8(pg_sys::GetCommandTagName((*data).tag));
        Some(Fired { point, tag, parsetree: (*data).parsetree })
    }
}

impl Fired {
    /// Tells one command from another as long as it runs.
    pub fn command(&self) -> usize {
        self.parsetree as usize
    }

    /// Does it make a table or sequence of this session, by its own words? It touches nothing else then.
    pub fn is_temporary(&self) -> bool {
        use pg_sys::NodeTag::{T_CreateSeqStmt, T_CreateStmt, T_CreateTableAsStmt};
        // SAFETY: the statement of the command, as the server's parser has made it.
        unsafe {
            let Some(tag) = self.parsetree.as_ref().map(|tree| tree.type_) else { return false };
            let name = match tag {
                T_CreateStmt => (*self.parsetree.cast::<pg_sys::CreateStmt>()).relation,
                T_CreateSeqStmt => (*self.parsetree.cast::<pg_sys::CreateSeqStmt>()).sequence,
                T_CreateTableAsStmt => (*self.parsetree.cast::<pg_sys::CreateTableAsStmt>())
                    .into
                    .as_ref()
                    .map_or(null_mut(), |into| into.rel),
                _ => return false,
            };
            name.as_ref().is_some_and(|name| name.relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP)
        }
    }

    /// Is it an ALTER TABLE that says how values of another type are computed?
    pub fn has_using(&self) -> bool {
        // SAFETY: the statement of the command, as the server's parser has made it.
        unsafe {
            if self.parsetree.is_null() || (*self.parsetree).type_ != pg_sys::NodeTag::T_AlterTableStmt {
                // A command that is not known: of it anything may be.
                return true;
            }
            let commands = (*self.parsetree.cast::<pg_sys::AlterTableStmt>()).cmds;
            (0..length(commands)).any(|at| {
                let command = cell(commands, at).cast::<pg_sys::AlterTableCmd>();
                if (*command).subtype != pg_sys::AlterTableType::AT_AlterColumnType || (*command).def.is_null() {
                    return false;
                }
                !(*(*command).def.cast::<pg_sys::ColumnDef>()).raw_default.is_null()
            })
        }
    }

    /// Does it give something another name, or another schema?
    pub fn renames(&self) -> bool {
        // SAFETY: the statement of the command, as the server's parser has made it.
        let tag = unsafe { self.parsetree.as_ref() }.map(|tree| tree.type_);
        matches!(tag, Some(pg_sys::NodeTag::T_RenameStmt | pg_sys::NodeTag::T_AlterObjectSchemaStmt))
    }

    /// Is it an ALTER TABLE that does nothing but that?
    pub fn only_sets_identity(&self) -> bool {
        // SAFETY: the statement of the command, as the server's parser has made it.
        unsafe {
            if self.parsetree.is_null() || (*self.parsetree).type_ != pg_sys::NodeTag::T_AlterTableStmt {
                return false;
            }
            let commands = (*self.parsetree.cast::<pg_sys::AlterTableStmt>()).cmds;
            let kind = |at| (*cell(commands, at).cast::<pg_sys::AlterTableCmd>()).subtype;
            (0..length(commands)).all(|at| kind(at) == pg_sys::AlterTableType::AT_ReplicaIdentity)
        }
    }

    /// The statement that the client sent, if it is this command: one of several in a string by itself. None for what a function or a
    /// `DO` runs, whose text may have anything in it.
    pub fn text(&self) -> Option<String> {
        // SAFETY: the portal that runs, if any, has its statements and their source.
        unsafe {
            let portal = pg_sys::ActivePortal;
            if portal.is_null() || (*portal).sourceText.is_null() || self.parsetree.is_null() {
                return None;
            }
            let statements = (*portal).stmts;
            if statements.is_null() || (*statements).length != 1 {
                return None;
            }
            let statement = cell(statements, 0).cast::<pg_sys::PlannedStmt>();
            let utility = (*statement).utilityStmt;
            if utility.is_null() || (*utility).type_ != (*self.parsetree).type_ {
                return None;
            }
            Some(slice((*portal).sourceText, (*statement).stmt_location, (*statement).stmt_len))
        }
    }
}

/// One statement of a string; the length is 0 for "to the end".
///
/// # Safety
/// A C string that the numbers are about.
unsafe fn slice(source: *const c_char, location: i32, length: i32) -> String {
    // SAFETY: by contract; the copy has its zero byte.
    unsafe {
        let bytes = CStr::from_ptr(source).to_bytes();
        let start = usize::try_from(location).unwrap_or(0).min(bytes.len());
        let rest = &bytes[start..];
        let length = if length > 0 { (length as usize).min(rest.len()) } else { rest.len() };
        let copy = std::ffi::CString::new(&rest[..length]).unwrap_or_default();
        encoding::to_utf8(copy.as_ptr()).trim().to_owned()
    }
}

/// `pg_event_trigger_ddl_commands()`, with what that does not show.
pub fn commands() -> Result<Vec<Affected>> {
    const FUNCTION: u32 = 4568;
    let mut found = Vec::new();
    materialized(FUNCTION, |row| {
        // SAFETY: the columns of the function's rows: classid, objid, objsubid, command_tag, object_type, schema_name,
        // object_identity, in_extension, command.
        unsafe {
            let (tag, schema) = (row.text(3).unwrap_or_default(), row.text(5));
            let named = row.oid(0).zip(row.oid(1));
            let command = row.pointer(8).map(|command| command.cast());
            let others = command.map_or_else(Vec::new, |command| hidden(command));
            let others = others.into_iter().filter(|other| Some(*other) != named);
            let is_about_partitions = command.is_some_and(|command| is_about_partitions(command));
            let has_left = command.map_or_else(Vec::new, |command| left_concurrently(command));
            let affected = |(class, oid)| Affected {
                class,
                oid,
                tag: tag.clone(),
                has_other_partitions: is_about_partitions && Some((class, oid)) == named,
                left_concurrently: has_left.contains(&(class, oid)),
                schema: schema.clone(),
            };
            found.extend(named.into_iter().chain(others).map(affected));
        }
    })?;
    Ok(found)
}

/// # Safety
/// A command that the server has collected.
unsafe fn hidden(command: *const pg_sys::CollectedCommand) -> Vec<(u32, u32)> {
    use pg_sys::CollectedCommandType::{SCT_AlterTable as ALTER_TABLE, SCT_Grant as GRANT, SCT_Simple as SIMPLE};
    // SAFETY: by contract; the type says which member of the union it is.
    unsafe {
        match (*command).type_ {
            ALTER_TABLE => {
                let parts = (*command).d.alterTable.subcmds;
                let part = |at| cell(parts, at).cast::<pg_sys::CollectedATSubcmd>().cast_const();
                let of =
                    |part: *const pg_sys::CollectedATSubcmd| [object((*part).address), other_table((*part).parsetree)];
                (0..length(parts)).map(part).flat_map(of).flatten().collect()
            }
            GRANT => {
                let grant = (*command).d.grant.istmt;
                let Some(class) = class_of_grant((*grant).objtype) else { return Vec::new() };
                let oid = |at| (*(*(*grant).objects).elements.add(at)).oid_value.to_u32();
                (0..length((*grant).objects)).map(|at| (class, oid(at))).collect()
            }
            // ALTER EXTENSION ADD or DROP: the member.
            SIMPLE if is_extension((*command).d.simple.address) => {
                object((*command).d.simple.secondaryObject).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Does ALTER TABLE nothing but attach and detach partitions?
///
/// # Safety
/// A command that the server has collected.
unsafe fn is_about_partitions(command: *const pg_sys::CollectedCommand) -> bool {
    // SAFETY: by contract; the type says which member of the union it is, tags say what nodes are.
    unsafe {
        if (*command).type_ != pg_sys::CollectedCommandType::SCT_AlterTable {
            return false;
        }
        let parts = (*command).d.alterTable.subcmds;
        let attaches = |at| {
            let part = (*cell(parts, at).cast::<pg_sys::CollectedATSubcmd>()).parsetree;
            if part.is_null() || (*part).type_ != pg_sys::NodeTag::T_AlterTableCmd {
                return false;
            }
            let definition = (*part.cast::<pg_sys::AlterTableCmd>()).def;
            !definition.is_null() && (*definition).type_ == pg_sys::NodeTag::T_PartitionCmd
        };
        length(parts) > 0 && (0..length(parts)).all(attaches)
    }
}

/// The partitions that ALTER TABLE has detached CONCURRENTLY.
///
/// # Safety
/// A command that the server has collected.
unsafe fn left_concurrently(command: *const pg_sys::CollectedCommand) -> Vec<(u32, u32)> {
    // SAFETY: by contract; the type says which member of the union it is, tags say what nodes are.
    unsafe {
        if (*command).type_ != pg_sys::CollectedCommandType::SCT_AlterTable {
            return Vec::new();
        }
        let parts = (*command).d.alterTable.subcmds;
        let left = |at| {
            let part = (*cell(parts, at).cast::<pg_sys::CollectedATSubcmd>()).parsetree.cast_const();
            let is_one = !part.is_null() && (*part).type_ == pg_sys::NodeTag::T_AlterTableCmd;
            (is_one && compat::detaches_concurrently(part.cast())).then(|| other_table(part)).flatten()
        };
        (0..length(parts)).filter_map(left).collect()
    }
}

/// The table that a part of ALTER TABLE names besides the one it alters: a partition, a parent. The name means what it meant to the
/// command, whose locks are held.
///
/// # Safety
/// A part of ALTER TABLE, or null.
unsafe fn other_table(part: *const pg_sys::Node) -> Option<(u32, u32)> {
    // SAFETY: by contract; tags say what nodes are. Nothing is locked, and no table is none.
    unsafe {
        if part.is_null() || (*part).type_ != pg_sys::NodeTag::T_AlterTableCmd {
            return None;
        }
        let definition = (*part.cast::<pg_sys::AlterTableCmd>()).def;
        if definition.is_null() {
            return None;
        }
        let name = match (*definition).type_ {
            pg_sys::NodeTag::T_PartitionCmd => (*definition.cast::<pg_sys::PartitionCmd>()).name,
            pg_sys::NodeTag::T_RangeVar => definition.cast::<pg_sys::RangeVar>(),
            _ => return None,
        };
        if name.is_null() {
            return None;
        }
        let (lock, options) = (pg_sys::NoLock as i32, pg_sys::RVROption::RVR_MISSING_OK);
        let oid = pg_sys::RangeVarGetRelidExtended(name, lock, options, None, std::ptr::null_mut());
        (oid != pg_sys::InvalidOid).then(|| (pg_sys::RelationRelationId.to_u32(), oid.to_u32()))
    }
}

fn is_extension(address: pg_sys::ObjectAddress) -> bool {
    address.classId == pg_sys::ExtensionRelationId
}

fn object(address: pg_sys::ObjectAddress) -> Option<(u32, u32)> {
    (address.objectId != pg_sys::InvalidOid).then(|| (address.classId.to_u32(), address.objectId.to_u32()))
}

fn class_of_grant(kind: pg_sys::ObjectType::Type) -> Option<u32> {
    use pg_sys::ObjectType::*;
    match kind {
        OBJECT_TABLE | OBJECT_SEQUENCE => Some(pg_sys::RelationRelationId.to_u32()),
        OBJECT_TYPE | OBJECT_DOMAIN => Some(pg_sys::TypeRelationId.to_u32()),
        OBJECT_SCHEMA => Some(pg_sys::NamespaceRelationId.to_u32()),
        OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE => Some(pg_sys::ProcedureRelationId.to_u32()),
        _ => None,
    }
}

/// `pg_event_trigger_dropped_objects()`.
pub fn lost() -> Result<Vec<Lost>> {
    const FUNCTION: u32 = 3566;
    let mut found = Vec::new();
    materialized(FUNCTION, |row| {
        // SAFETY: the columns of the function's rows: classid, objid, objsubid, original, normal, is_temporary, object_type,
        // schema_name, object_name, object_identity ...
        unsafe {
            let (Some(class), Some(oid)) = (row.oid(0), row.oid(1)) else { return };
            found.push(Lost {
                class,
                oid,
                part: row.value(2).map_or(0, |value| value.value() as i32),
                is_temporary: row.value(5).is_some_and(|value| value.value() & 0xFF != 0),
                kind: row.text(6).unwrap_or_default(),
                schema: row.text(7),
                identity: row.text(9).unwrap_or_default(),
            });
        }
    })?;
    Ok(found)
}

/// The table, and `AT_REWRITE_*`: why.
pub fn rewritten() -> Result<(u32, i32)> {
    const TABLE: u32 = 4566;
    const REASON: u32 = 4567;
    // SAFETY: both fail outside of a rewrite, and take no arguments.
    unsafe {
        let table = guard::guarded(|| pg_sys::OidFunctionCall0Coll(TABLE.into(), pg_sys::InvalidOid));
        let reason = guard::guarded(|| pg_sys::OidFunctionCall0Coll(REASON.into(), pg_sys::InvalidOid));
        Ok((table.value() as u32, reason.value() as i32))
    }
}

/// The row that a set-returning function has just made.
struct ResultRow(*mut pg_sys::TupleTableSlot);

impl ResultRow {
    /// # Safety
    /// The slot has the column.
    unsafe fn value(&self, column: usize) -> Option<pg_sys::Datum> {
        // SAFETY: by contract; all columns have been read.
        unsafe { (!*(*self.0).tts_isnull.add(column)).then(|| *(*self.0).tts_values.add(column)) }
    }

    /// # Safety
    /// The slot has the column, and it is an oid.
    unsafe fn oid(&self, column: usize) -> Option<u32> {
        // SAFETY: by contract.
        unsafe { self.value(column) }.map(|value| value.value() as u32)
    }

    /// # Safety
    /// The slot has the column, and it is a pointer by value.
    unsafe fn pointer(&self, column: usize) -> Option<*const std::ffi::c_void> {
        // SAFETY: by contract.
        unsafe { self.value(column) }.map(|value| value.cast_mut_ptr::<std::ffi::c_void>().cast_const())
    }

    /// # Safety
    /// The slot has the column, and it is a text.
    unsafe fn text(&self, column: usize) -> Option<String> {
        // SAFETY: by contract; the copy is a C string.
        unsafe {
            let text = self.value(column)?.cast_mut_ptr::<pg_sys::text>();
            Some(encoding::to_utf8(pg_sys::text_to_cstring(text)))
        }
    }
}

/// Calls a function of the server that takes nothing and returns a set, without SQL around it.
fn materialized(function: u32, mut each: impl FnMut(&ResultRow)) -> Result<()> {
    // SAFETY: the call is what the executor would make of it: a context for the result, the ways to return it that we take. Everything
    // is freed with the memory of the statement.
    unsafe {
        let mut known = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(function.into(), &mut known);
        let mut result = pg_sys::ReturnSetInfo {
            type_: pg_sys::NodeTag::T_ReturnSetInfo,
            econtext: pg_sys::CreateStandaloneExprContext(),
            allowedModes: pg_sys::SetFunctionReturnMode::SFRM_Materialize as i32,
            returnMode: pg_sys::SetFunctionReturnMode::SFRM_ValuePerCall,
            isDone: pg_sys::ExprDoneCond::ExprSingleResult,
            ..Default::default()
        };
        let mut call = pg_sys::FunctionCallInfoBaseData {
            flinfo: &raw mut known,
            resultinfo: (&raw mut result).cast(),
            ..Default::default()
        };
        let Some(address) = known.fn_addr else { return Err(Error::internal("a server function has no address")) };
        let argument = &raw mut call;
        guard::guarded(|| address(argument));
        if result.setResult.is_null() || result.setDesc.is_null() {
            return Err(Error::internal("a server function returned no set"));
        }
        let slot = pg_sys::MakeSingleTupleTableSlot(result.setDesc, &raw const pg_sys::TTSOpsMinimalTuple);
        let columns = (*result.setDesc).natts;
        while pg_sys::tuplestore_gettupleslot(result.setResult, true, false, slot) {
            pg_sys::slot_getsomeattrs_int(slot, columns);
            each(&ResultRow(slot));
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::tuplestore_end(result.setResult);
        pg_sys::FreeExprContext(result.econtext, false);
        Ok(())
    }
}

/// What a part that is gone was a part of, as its row in the catalog still tells: catalog and oid. The row is dead for everybody, but there
/// until this transaction ends.
pub fn owner_of_lost(class: u32, oid: u32) -> Option<(u32, u32)> {
    const RELATION: u32 = 1259;
    const TYPE: u32 = 1247;
    // Catalog, its unique index, the column with the oid, and the columns that name what the part is of.
    let (catalog, index, key, owners): (u32, u32, &CStr, &[(&CStr, u32)]) = match class {
        // What is left of relations: indexes.
        RELATION => (2610, 2679, c"indexrelid", &[(c"indrelid", RELATION)]),
        2604 => (2604, 2657, c"oid", &[(c"adrelid", RELATION)]),
        2606 => (2606, 2667, c"oid", &[(c"conrelid", RELATION), (c"contypid", TYPE)]),
        2618 => (2618, 2692, c"oid", &[(c"ev_class", RELATION)]),
        2620 => (2620, 2702, c"oid", &[(c"tgrelid", RELATION)]),
        3256 => (3256, 3257, c"oid", &[(c"polrelid", RELATION)]),
        3381 => (3381, 3380, c"oid", &[(c"stxrelid", RELATION)]),
        _ => return None,
    };
    // SAFETY: the catalog has the index and the columns; the scan ends before the catalog is closed.
    unsafe {
        let relation = pg_sys::table_open(catalog.into(), pg_sys::AccessShareLock as i32);
        let mut wanted = pg_sys::ScanKeyData::default();
        let number = pg_sys::get_attnum(catalog.into(), key.as_ptr());
        let equal = pg_sys::BTEqualStrategyNumber as u16;
        pg_sys::ScanKeyInit(&mut wanted, number, equal, pg_sys::F_OIDEQ.into(), pg_sys::Datum::from(oid));
        let any = &raw mut pg_sys::SnapshotAnyData;
        let scan = pg_sys::systable_beginscan(relation, index.into(), true, any, 1, &mut wanted);
        let tuple = pg_sys::systable_getnext(scan);
        let mut found = None;
        if !tuple.is_null() {
            found = owners.iter().find_map(|(column, class)| {
                let number = pg_sys::get_attnum(catalog.into(), column.as_ptr());
                let mut is_null = false;
                let value = pg_sys::heap_getattr(tuple, number.into(), (*relation).rd_att, &mut is_null);
                let owner = value.value() as u32;
                (!is_null && owner != 0).then_some((*class, owner))
            });
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        found
    }
}

/// # Safety
/// A list of the server, or null.
unsafe fn length(list: *const pg_sys::List) -> usize {
    // SAFETY: by contract.
    if list.is_null() { 0 } else { usize::try_from(unsafe { (*list).length }).unwrap_or(0) }
}

/// # Safety
/// A list of pointers that has this element.
unsafe fn cell(list: *const pg_sys::List, at: usize) -> *mut std::ffi::c_void {
    // SAFETY: by contract.
    unsafe { (*(*list).elements.add(at)).ptr_value }
}
