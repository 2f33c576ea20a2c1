/*
 * Files that cannot be read, said beside other errors, so that one run shows
 * all there is to mend.  What a section only took over is said where it comes
 * from.  Main thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config/build.h"
#include "config/diagnostics.h"

static void
check_file(struct diagnostics *diag, const char *key, const char *path,
    const struct config_where *where)
{
	if (path != NULL && access(path, R_OK) != 0)
		diag_error(diag, where, "%s: cannot read %s: %s", key, path,
		    strerror(errno));
}

static void
check_list(struct diagnostics *diag, const char *key,
    const struct config_paths *list, const struct config_paths *taken)
{
	if (list->items == taken->items)
		return;
	for (size_t i = 0; i < list->count; i++)
		check_file(
		    diag, key, list->items[i].path, &list->items[i].where);
}

/* `from` is what it was before its own section. */
static void
check_site(struct diagnostics *diag, const struct config_listener *site,
    const struct config_listener *from)
{
	/* Another tool may yet have to write the staples. */
	check_list(diag, "cert", &site->certs, &from->certs);
	check_list(diag, "key", &site->keys, &from->keys);
	if (site->cert_dir != from->cert_dir)
		check_file(
		    diag, "cert_dir", site->cert_dir, &site->cert_dir_where);
	if (site->ca_file != from->ca_file)
		check_file(
		    diag, "ca_file", site->ca_file, &site->ca_file_where);
	if (site->crl_file != from->crl_file)
		check_file(
		    diag, "crl_file", site->crl_file, &site->crl_file_where);
}

void
check_files(const struct build *build)
{
	static const struct config_listener nothing;
	const struct config *config = build->config;
	struct site site = { 0 };

	if (diag_is_clean(build->diag))
		return;
	check_site(build->diag, &build->defaults, &nothing);
	while (build_next_site(build, &site))
		check_site(build->diag, site.settings,
		    site.settings->pattern != NULL ? site.listener
						   : &build->defaults);
	check_file(build->diag, "ca_file", config->ocsp.ca_file,
	    &config->ocsp.ca_file_where);
	check_file(build->diag, "ticket_key_file", config->ticket_key_file,
	    &config->ticket_key_file_where);
}
