/*
 * The document of /status as text for a terminal.  Pure but for `out`.
 */
#ifndef ADMIN_TABLE_H
#define ADMIN_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct json_t;

/* colours: ANSI sequences mark what is wrong; the words do so as well. */
void table_print(struct json_t *document, FILE *out, bool colours);

/* A distance of time in its two largest units: "12 d 3 h", "45 s". */
#define TABLE_SPAN_MAX 64
void table_print_span(char out[TABLE_SPAN_MAX], long long seconds);

#endif
