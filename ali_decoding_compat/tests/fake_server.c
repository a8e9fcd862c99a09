/*
 * As much of a server as loading a plugin and decoding a few changes takes, for servers that the machine
 * cannot have: 9.4 to 9.6, and versions that do not exist yet.
 *
 *   fake_server LIBRARY VERSION_NUM LEVEL
 *
 * Prints the magic block in hex, then the offsets of the callbacks that the library set and the messages that
 * they make of the changes below, or the error that the library raised.
 *
 * It is compiled for one version: facts.h has that version's facts, FACT_ before their names, and MAJOR
 * as in the magic block. What the structures hold lies where the facts say.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"

static const char *version_num;
static int expected_level;
static jmp_buf handler;
static int depth;

static void wrong(const char *what) { printf("WRONG: %s\n", what); exit(1); }

const char *GetConfigOption(const char *name, bool missing_ok, bool restricted)
{
    if (!missing_ok || restricted)
        wrong("GetConfigOption's arguments");
    if (strcmp(name, "server_version_num") == 0)
        return version_num;
    if (strcmp(name, "server_version") == 0)
        return "77.7";
    return NULL;
}

#if MAJOR < 1300
void elog_finish(int level, const char *format, ...) { wrong("elog_finish"); }

bool errstart(int level, const char *file, int line, const char *function, const char *domain)
{
    if (level != expected_level || strlen(file) == 0 || strlen(function) == 0 || domain != NULL)
        wrong("errstart's arguments");
    depth++;
    return true;
}

void errfinish(int dummy, ...)
{
    if (depth != 1)
        wrong("errfinish without errstart");
    longjmp(handler, 1);
}
#else
bool errstart(int level, const char *domain)
{
    if (level != expected_level || domain != NULL)
        wrong("errstart's arguments");
    depth++;
    return true;
}

void errfinish(const char *file, int line, const char *function)
{
    if (depth != 1 || strlen(file) == 0 || strlen(function) == 0)
        wrong("errfinish's arguments");
    longjmp(handler, 1);
}
#endif

int errcode(int code)
{
    printf("SQLSTATE ");
    for (int i = 0; i < 5; i++, code >>= 6)
        putchar((code & 0x3f) + '0');
    printf("\n");
    return 0;
}

#define TEXT(name, label) \
    int name(const char *format, ...) \
    { \
        va_list arguments; \
        va_start(arguments, format); \
        printf(label " "); \
        vprintf(format, arguments); \
        printf("\n"); \
        va_end(arguments); \
        return 0; \
    }
TEXT(errmsg, "MESSAGE")
TEXT(errdetail, "DETAIL")
TEXT(errhint, "HINT")

/* --- memory and strings --------------------------------------------------------------- */

typedef struct { char *data; int len, maxlen, cursor; } StringInfoData;
typedef uintptr_t Datum;
typedef uint32_t Oid;

static char context_memory[1], message_memory[1], cache_memory[1];
void *CurrentMemoryContext = context_memory;
static int resets;

void *MemoryContextAlloc(void *context, size_t size) { return memset(malloc(size), 0x7f, size); }
void *MemoryContextAllocZero(void *context, size_t size) { return calloc(1, size); }
void MemoryContextReset(void *context) { resets += context == message_memory; }
void pfree(void *pointer) { free(pointer); }

#if MAJOR < 1100
void *AllocSetContextCreate(
#elif MAJOR < 1200
void *AllocSetContextCreateExtended(
#else
void *AllocSetContextCreateInternal(
#endif
    void *parent, const char *name, size_t minimum, size_t initial, size_t maximum)
{
    if (parent != context_memory || minimum != 0 || initial != 8192 || maximum != 8 << 20)
        wrong("the arguments for a memory context");
    return strstr(name, "message") ? message_memory : cache_memory;
}

void initStringInfo(StringInfoData *string)
{
    *string = (StringInfoData) {calloc(1, 16), 0, 16, 0};
}

void enlargeStringInfo(StringInfoData *string, int needed)
{
    string->maxlen = string->len + needed + 1;
    string->data = realloc(string->data, string->maxlen);
}

/* --- settings ---------------------------------------------------------------------------- */

int extra_float_digits = 0;
char *namespace_search_path = "a, b";
int GetDatabaseEncoding(void) { return 6; }
const char *GetDatabaseEncodingName(void) { return "UTF8"; }
int pg_char_to_encoding(const char *name) { return strcmp(name, "utf8") == 0 ? 6 : -1; }

int set_config_option(const char *name, const char *value, int context, int source, int action, bool change, int level
#if MAJOR > 904
                      , bool reload
#endif
                      )
{
    if (strcmp(name, "extra_float_digits") != 0 || strcmp(value, "3") != 0 || context != FACT_PGC_USERSET ||
        source != FACT_PGC_S_SESSION || action != FACT_GUC_ACTION_SAVE || !change || level != 0)
        wrong("set_config_option's arguments");
#if MAJOR > 904
    if (reload)
        wrong("set_config_option's last argument");
#endif
    printf("FLOATS\n");
    return 1;
}

/* --- catalogs: a table "s s".t with the columns id, a dropped one, "Note" and far ------------- */

#define AT(type, base, offset) (*(type *) ((char *) (base) + (offset)))
enum { TABLE = 4711, INDEX = 4712, ATTRIBUTES = 4 };

static char relation[4096], class_row[4096], descriptor[8192], index_relation[4096], index_row[4096];
static char attribute_rows[ATTRIBUTES][256];
static int open_indexes, index_list;

static void describe(int position, const char *name, Oid type, int16_t length, bool dropped)
{
    char *row;

#if MAJOR < 1100
    static char *pointers[ATTRIBUTES];
    row = pointers[position] = attribute_rows[position];
    AT(char **, descriptor, FACT_TupleDesc_attrs) = pointers;
#elif MAJOR < 1800
    row = descriptor + FACT_TupleDesc_attrs + position * FACT_sizeof_FormData_pg_attribute_;
#else
    row = descriptor + FACT_TupleDesc_compact_attrs + ATTRIBUTES * FACT_sizeof_CompactAttribute_ +
        position * FACT_sizeof_FormData_pg_attribute_;
#endif
    AT(int, descriptor, FACT_TupleDesc_natts) = ATTRIBUTES;
    strcpy(row + FACT_FormData_pg_attribute_attname, name);
    AT(Oid, row, FACT_FormData_pg_attribute_atttypid) = type;
    AT(int16_t, row, FACT_FormData_pg_attribute_attlen) = length;
    AT(bool, row, FACT_FormData_pg_attribute_attisdropped) = dropped;
}

static void make_catalogs(void)
{
    describe(0, "id", 23, 4, false);
    describe(1, "........pg.dropped.2........", 0, -1, true);
    describe(2, "Note", 25, -1, false);
    describe(3, "far", 25, -1, false);
    strcpy(class_row + FACT_FormData_pg_class_relname, "t");
    AT(Oid, class_row, FACT_FormData_pg_class_relnamespace) = 2200;
    AT(char *, relation, FACT_RelationData_rd_rel) = class_row;
    AT(char *, relation, FACT_RelationData_rd_att) = descriptor;
    AT(Oid, relation, FACT_RelationData_rd_id) = TABLE;
    AT(char *, index_relation, FACT_RelationData_rd_index) = index_row;
    /* Note, id and, where it exists, an included column or the row id. */
    AT(int16_t, index_row, FACT_FormData_pg_index_indnatts) = 3;
#ifdef FACT_FormData_pg_index_indnkeyatts
    AT(int16_t, index_row, FACT_FormData_pg_index_indnkeyatts) = 2;
#endif
    int16_t *keys = (int16_t *) (index_row + FACT_FormData_pg_index_indkey + FACT_int2vector_values);
    keys[0] = 3;
    keys[1] = 1;
    keys[2] = MAJOR < 1100 ? -2 : 4;
}

void *RelationGetIndexList(void *of)
{
    if (of != relation)
        wrong("RelationGetIndexList's argument");
    AT(Oid, relation, FACT_RelationData_rd_replidindex) = INDEX;
    return &index_list;
}

void list_free(void *list) { if (list != &index_list) wrong("list_free's argument"); }
void *RelationIdGetRelation(Oid id) { open_indexes += id == INDEX; return id == INDEX ? index_relation : NULL; }
void RelationClose(void *of) { open_indexes -= of == index_relation; }
const char *get_namespace_name(Oid id) { return id == 2200 ? "s s" : NULL; }
const char *format_type_be(Oid id) { return id == 23 ? "integer" : id == 25 ? "text" : "?"; }
const char *quote_identifier(const char *name) { return strcmp(name, "Note") == 0 ? "\"Note\"" : name; }

void getTypeOutputInfo(Oid type, Oid *function, bool *varlena) { *function = type + 1000; *varlena = type == 25; }
void fmgr_info_cxt(Oid function, char *info, void *context)
{
    if (context != cache_memory)
        wrong("fmgr_info_cxt's context");
    AT(Oid, info, 8) = function;
}

const char *OutputFunctionCall(char *info, Datum value)
{
    static char number[20];

    if (AT(Oid, info, 8) == 1025)
        return (const char *) value + 1;
    sprintf(number, "%d", (int) value);
    return number;
}

static void (*relation_callback)(Datum, Oid);

void CacheRegisterRelcacheCallback(void (*callback)(Datum, Oid), Datum argument) { relation_callback = callback; }
void CacheRegisterSyscacheCallback(int cache, void (*callback)(Datum, int, uint32_t), Datum argument)
{
    printf("CACHE %d\n", cache);
}

/* --- changes ----------------------------------------------------------------------------------- */

static char context[1024], transaction[1024], change[512], new_row[256], old_row[256];
static StringInfoData out;

#ifdef FACT_ReorderBufferTupleBuf_tuple
#define ROW_OFFSET FACT_ReorderBufferTupleBuf_tuple
#else
#define ROW_OFFSET 0
#endif

void heap_deform_tuple(char *tuple, char *described, Datum *values, bool *nulls)
{
    static char unchanged[] = "\x01\x12........";

    if (described != descriptor)
        wrong("heap_deform_tuple's descriptor");
    values[0] = tuple == new_row + ROW_OFFSET ? 42 : tuple == old_row + ROW_OFFSET ? 41 : 0;
    if (values[0] == 0)
        wrong("heap_deform_tuple's tuple");
    values[1] = 99;
    values[2] = (Datum) "@note";
    values[3] = (Datum) unchanged;
    for (int i = 0; i < ATTRIBUTES; i++)
        nulls[i] = values[0] == 41 && i == 3;
}

void OutputPluginPrepareWrite(void *of, bool last)
{
    if (of != context || !last)
        wrong("OutputPluginPrepareWrite's arguments");
    out.len = 0;
}

void OutputPluginWrite(void *of, bool last)
{
    if (of != context || !last || CurrentMemoryContext != message_memory || out.data[out.len] != 0)
        wrong("the state at OutputPluginWrite");
    printf("SEND ");
    for (int i = 0; i < out.len; i++)
        printf("%02x", (uint8_t) out.data[i]);
    printf("\n");
}

static char *option(const char *name, const char *value)
{
    char *element = calloc(1, 64), *node = calloc(1, 32);

    AT(int, node, 0) = FACT_T_String;
    AT(const char *, node, 8) = value;
    AT(const char *, element, FACT_DefElem_defname) = name;
    AT(char *, element, FACT_DefElem_arg) = node;
    return element;
}

static char *list_of(char *first, char *second)
{
    static char list[64], cells[2][16];

    AT(int, list, FACT_List_length) = 2;
    AT(char *, cells[0], 0) = first;
#ifdef FACT_List_head
    AT(char *, list, FACT_List_head) = cells[0];
    AT(char *, cells[0], FACT_ListCell_next) = cells[1];
    AT(char *, cells[1], 0) = second;
#else
    AT(char *, list, FACT_List_elements) = cells[0];
    AT(char *, cells[0], 8) = second;
#endif
    return list;
}

static void decode(char *table)
{
    void (*startup)(void *, void *, bool) = AT(void *, table, FACT_OutputPluginCallbacks_startup_cb);
    void (*begin)(void *, void *) = AT(void *, table, FACT_OutputPluginCallbacks_begin_cb);
    void (*row)(void *, void *, void *, void *) = AT(void *, table, FACT_OutputPluginCallbacks_change_cb);
    void (*commit)(void *, void *, uint64_t) = AT(void *, table, FACT_OutputPluginCallbacks_commit_cb);
    int output_options[2] = {-1, -1};

    make_catalogs();
    initStringInfo(&out);
    AT(void *, context, FACT_LogicalDecodingContext_context) = context_memory;
    AT(void *, context, FACT_LogicalDecodingContext_out) = &out;
    AT(char *, context, FACT_LogicalDecodingContext_output_plugin_options) =
        list_of(option("version", "0x10"), option("encoding", "utf8"));
    startup(context, output_options, true);
    if (output_options[0] != FACT_OUTPUT_PLUGIN_BINARY_OUTPUT || output_options[1] != -1)
        wrong("the kind of output");

    AT(uint32_t, transaction, FACT_ReorderBufferTXN_xid) = 7;
    AT(uint64_t, transaction, FACT_ReorderBufferTXN_final_lsn) = 0x101;
    AT(uint64_t, transaction, FACT_ReorderBufferTXN_end_lsn) = 0x202;
#ifdef FACT_ReorderBufferTXN_commit_time
    AT(int64_t, transaction, FACT_ReorderBufferTXN_commit_time) = 0x303;
#else
    AT(int64_t, transaction, FACT_ReorderBufferTXN_xact_time_commit_time) = 0x303;
#endif
    begin(context, transaction);

    AT(int, change, FACT_ReorderBufferChange_action) = FACT_REORDER_BUFFER_CHANGE_INSERT;
    AT(char *, change, FACT_ReorderBufferChange_data_tp_newtuple) = new_row;
    row(context, transaction, relation, change);
    AT(int, change, FACT_ReorderBufferChange_action) = FACT_REORDER_BUFFER_CHANGE_UPDATE;
    AT(char *, change, FACT_ReorderBufferChange_data_tp_oldtuple) = old_row;
    row(context, transaction, relation, change);

    /* Renamed: not seen before the server says so. */
    strcpy(class_row + FACT_FormData_pg_class_relname, "u");
    AT(int, change, FACT_ReorderBufferChange_action) = FACT_REORDER_BUFFER_CHANGE_DELETE;
    AT(char *, change, FACT_ReorderBufferChange_data_tp_newtuple) = NULL;
    row(context, transaction, relation, change);
    relation_callback(0, TABLE);
    AT(char *, change, FACT_ReorderBufferChange_data_tp_oldtuple) = NULL;
    row(context, transaction, relation, change);

    commit(context, transaction, 0x404);
    if (open_indexes != 0 || resets != 6 || CurrentMemoryContext != context_memory)
        wrong("what decoding leaves behind");
}

int main(int count, char **arguments)
{
    uint64_t table[64] = {0};

    if (count != 4)
        wrong("arguments");
    version_num = arguments[2];
    expected_level = atoi(arguments[3]);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL)
        wrong(dlerror());
    const uint8_t *(*magic)(void) = (const uint8_t *(*)(void)) dlsym(library, "Pg_magic_func");
    void (*init)(void) = (void (*)(void)) dlsym(library, "_PG_init");
    void (*plugin_init)(void *) = (void (*)(void *)) dlsym(library, "_PG_output_plugin_init");
    if (magic == NULL || init == NULL || plugin_init == NULL)
        wrong("a function is missing");

    const uint8_t *block = magic();
    int size = *(const int *) block;
    printf("MAGIC ");
    for (int i = 0; i < (size < 56 ? size : 56); i++)
        printf("%02x", block[i]);
    printf("\n");
    if (size == 72)
        printf("MODULE %s %s\n", *(const char *const *) (block + 56), *(const char *const *) (block + 64));

    init();
    if (setjmp(handler) == 0)
    {
        plugin_init(table);
        printf("CALLBACKS");
        for (int i = 0; i < 64; i++)
            if (table[i] != 0)
                printf(" %d", i * 8);
        printf("\n");
        decode((char *) table);
    }
    return 0;
}
