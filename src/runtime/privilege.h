/*
 * Giving up root: user, group, capabilities, no-new-privileges.  Main thread,
 * before any other thread starts.
 */
#ifndef RUNTIME_PRIVILEGE_H
#define RUNTIME_PRIVILEGE_H

#include <stdbool.h>

#include "base/attr.h"

struct err;

/*
 * Become user and group (names or numbers; NULL: stay) with that user's
 * supplementary groups, and set no-new-privileges in every case.  Keeps
 * CAP_NET_BIND_SERVICE alone when keep_low_ports, so that a reload can open
 * a port below 1024.
 */
bool privilege_drop(const char *user, const char *group, bool keep_low_ports,
    struct err *err) MUST_CHECK;

/*
 * Give a folder that we made to that user and group, who will write there
 * (names or numbers; NULL: leave it).  Never through a symlink.  Nothing to do
 * unless we are root.
 */
bool privilege_give(const char *path, const char *user, const char *group,
    struct err *err) MUST_CHECK;

#endif
