/*
 * As much of a server as loading a plugin takes, to ask the library what it says to servers that the machine
 * cannot have: 9.4 to 9.6, and versions that do not exist yet.
 *
 *   fake_server LIBRARY VERSION_NUM LEVEL
 *
 * Prints the magic block in hex, then the offsets of the callbacks that the library set, or the error that
 * it raised. Compiled with UP_TO_12 it has the error functions of those versions, else the later ones.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#ifdef UP_TO_12
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

/* The library has to find these to load, and has no reason to call them here. */
#define UNUSED(name) void name(void) { wrong(#name); }
UNUSED(MemoryContextAlloc) UNUSED(MemoryContextAllocZero) UNUSED(MemoryContextReset) UNUSED(pfree)
UNUSED(initStringInfo) UNUSED(enlargeStringInfo) UNUSED(set_config_option)
UNUSED(GetDatabaseEncoding) UNUSED(GetDatabaseEncodingName) UNUSED(OutputPluginPrepareWrite) UNUSED(OutputPluginWrite)
UNUSED(RelationIdGetRelation) UNUSED(RelationClose) UNUSED(RelationGetIndexList) UNUSED(list_free)
UNUSED(get_namespace_name) UNUSED(format_type_be) UNUSED(quote_identifier) UNUSED(getTypeOutputInfo)
UNUSED(heap_deform_tuple) UNUSED(fmgr_info_cxt) UNUSED(OutputFunctionCall)
UNUSED(CacheRegisterRelcacheCallback) UNUSED(CacheRegisterSyscacheCallback)
void *CurrentMemoryContext;
int extra_float_digits;
char *namespace_search_path;

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
    }
    return 0;
}
