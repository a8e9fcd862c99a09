/*
 * How libpq is built, beyond what its package says; .cargo/config.toml includes this file before every C file.
 */
#ifdef FRONTEND

/* Addresses in certificates are compared as psql does it: without this an IPv6 address among the names ends the comparison. */
#define HAVE_INET_PTON 1

/* select() writes beyond its sets when a process has more than a thousand files open. */
#define HAVE_POLL 1
#define HAVE_POLL_H 1

/*
 * The environment of the server is its administrator's, and means other programs: whom to connect to, and as whom, comes
 * from the foreign server and the user mapping alone. HOME leads to the files that a superuser's task may use.
 */
#include <stdlib.h>
#include <string.h>

static inline char *
courier_libpq_getenv(const char *name)
{
	return strcmp(name, "HOME") == 0 ? getenv(name) : NULL;
}

#define getenv courier_libpq_getenv

#endif
