/*
 * Compiler attributes and macros of the whole tree.  An attribute is empty for
 * a compiler without it; nothing here generates code.
 */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) \
	__attribute__((__format__(__printf__, text, first)))

/* Clang's thread-safety analysis; gcc ignores the whole vocabulary. */
#if defined(__clang__)
#define THREAD_ATTR(x) __attribute__((x))
#else
#define THREAD_ATTR(x)
#endif
#define CAPABILITY(name) THREAD_ATTR(capability(name))
#define REQUIRES(lock) THREAD_ATTR(requires_capability(lock))
#define ACQUIRES(lock) THREAD_ATTR(acquire_capability(lock))
#define RELEASES(lock) THREAD_ATTR(release_capability(lock))
#define EXCLUDES(lock) THREAD_ATTR(locks_excluded(lock))
#define NO_THREAD_ANALYSIS THREAD_ATTR(no_thread_safety_analysis)

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* From a pointer to an embedded member back to the struct that holds it. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
