/*
 * A getaddrinfo of the tests' own, so that no test uses the network for a
 * name.  A program that calls anything here gets it in place of libc's, inside
 * libcurl too.  Numbers are looked up as ever; of names it knows
 *
 *	here.test   ::1 and then 127.0.0.1
 *	hangs.test  nothing, until names_release
 *	many.test   the addresses that names_set gave it, in their order
 *
 * and no other exists.  Any thread.
 */
#ifndef SUPPORT_NAMES_H
#define SUPPORT_NAMES_H

/* The addresses of many.test, separated by spaces; at first it has none. */
void names_set(const char *addresses);

/* How many names have been looked up so far, and how many still hang. */
unsigned names_asked(void);
unsigned names_hanging(void);

/* End the hanging ones, and wait until they have; later ones hang again. */
void names_release(void);

#endif
