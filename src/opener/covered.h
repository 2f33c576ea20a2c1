/*
 * The paths that the opener may open: those of the configuration at the start.
 * Made by the main thread before the fork; then constant.
 */
#ifndef OPENER_COVERED_H
#define OPENER_COVERED_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct covered;

/* NULL: no memory. */
struct covered *covered_new(const struct config *config) MUST_CHECK;
void covered_free(struct covered *covered); /* NULL ok */

/* A file of the configuration; or a file in a cert_dir or in a folder of
 * certificates there; or one in an included folder. */
bool covered_has_file(const struct covered *covered, const char *path);

/* A cert_dir, a folder in it, or an included folder. */
bool covered_has_folder(const struct covered *covered, const char *path);

/* A Unix socket of a listener or of the admin endpoint. */
bool covered_has_socket(const struct covered *covered, const char *path);

/* The path of a log with the folder resolved as it was at the start; NULL: not
 * covered. */
const char *covered_find_log(const struct covered *covered, const char *path);

#endif
