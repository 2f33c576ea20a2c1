/*
 * The sandbox: Landlock to the folders of the configuration, a list of denied
 * system calls, no core dumps.  Main thread.
 */
#ifndef RUNTIME_SANDBOX_H
#define RUNTIME_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct log;
struct sandbox;

/* A mask: what may be done beneath a folder. */
enum sandbox_access {
	ACCESS_READ = 1,    /* read files, list folders */
	ACCESS_EXECUTE = 2, /* and run files */
	ACCESS_WRITE = 4,   /* make, write, rename and remove files */
	ACCESS_REMOVE = 8   /* remove files */
};

struct sandbox_folder {
	char *path; /* without symlinks; a file where its folder is "/" */
	unsigned access;
	dev_t dev;
	ino_t ino;
};

struct sandbox_folders {
	struct sandbox_folder *items;
	size_t count;
	size_t room;
};

/*
 * The folders that a configuration needs: those of its files, and for every
 * symlink on the way to one, the folder that holds what the link points to.  So
 * a link that is replaced (certbot's live/, Kubernetes' ..data) may point to
 * another file or folder beside the old one.  Folders that do not exist are
 * left out.  false: no memory.  Free in every case.
 */
bool sandbox_folders_of(
    const struct config *config, struct sandbox_folders *folders) MUST_CHECK;
void sandbox_folders_free(struct sandbox_folders *folders);

/*
 * Confine this thread, and every thread that it makes, for ever, by `sandbox`
 * of the configuration.  executable: a program that may be executed later (its
 * folder and its loader), NULL: none.  One line is logged: what is in force.
 * Call it before the first other thread, with every privilege dropped.  NULL:
 * *err, the mode is `require` and the kernel cannot, or no memory.
 */
struct sandbox *sandbox_enter(const struct config *config,
    const char *executable, struct log *log, struct err *err) MUST_CHECK;

/*
 * Is every path of this configuration inside?  An error is added for each that
 * is not, with its line and what to do.  Follows symlinks anew.  false: errors.
 */
bool sandbox_check(const struct sandbox *sandbox, const struct config *config,
    struct config_errors *errors) MUST_CHECK;

/* NULL ok; nothing is undone.  Once no other thread opens files (file.h), whose
 * errors it explains. */
void sandbox_free(struct sandbox *sandbox);

#endif
