/*
 * What a report of a fault needs: version, libraries, groups, features.  Main
 * thread.  The versions are those at run time, not those of the headers: a
 * distribution replaces a library without building this program again.  inih
 * has no version at run time.
 */
#include "runtime/version.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "staple/http_client.h"
#include "tls/context.h"

/* gcc defines the first of each, clang has the second. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ADDRESS true
#else
#define HAS_ADDRESS false
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define HAS_THREAD true
#else
#define HAS_THREAD false
#endif
#ifdef LOCK_CHECKS
#define HAS_LOCK_CHECKS true
#else
#define HAS_LOCK_CHECKS false
#endif

static void
print_features(bool post_quantum)
{
	const struct {
		const char *name;
		bool present;
	} rows[] = {
		{ "post-quantum", post_quantum },
		{ "lock-checks", HAS_LOCK_CHECKS },
		{ "address-sanitizer", HAS_ADDRESS },
		{ "thread-sanitizer", HAS_THREAD },
	};
	const char *separator = " ";
	size_t i;

	printf("features:");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].present)
			continue;
		printf("%s%s", separator, rows[i].name);
		separator = ", ";
	}
	printf("%s\n", separator[0] == ' ' ? " none" : "");
}

bool
version_print(void)
{
	char *groups = tls_library_groups();

	if (groups == NULL) {
		fputs("clinch: out of memory\n", stderr);
		return false;
	}
	printf("clinch %s\n", PACKAGE_VERSION);
	printf("libraries: %s, libcurl %s, libev %d.%02d\n",
	    tls_library_version(), staple_http_library(), ev_version_major(),
	    ev_version_minor());
	printf("groups: %s\n", groups);
	print_features(strstr(groups, "MLKEM") != NULL);
	free(groups);
	return true;
}
