/*
 * The page of the admin endpoint: page.html, as it stands in the sources, is
 * part of the program.  Any thread.
 */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include <stddef.h>

/* The bytes of the page; constant. */
const char *page_text(void);
size_t page_len(void);

#endif
