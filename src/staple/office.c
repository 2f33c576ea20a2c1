/*
 * The tools of the staple thread.  They are made before it starts and belong
 * to it then.  libcurl's handle comes last, at the start: its wake-up socket
 * must not be shared with a process that was forked.  The callbacks and the store are taken from the first settings
 * and never change: whoever holds them for another thread need not ask.
 */
#include "staple/office.h"

#include "base/err.h"
#include "staple/host_limits.h"
#include "staple/settings.h"
#include "staple/store.h"

static void
configure_fetcher(
    struct staple_office *office, const struct staple_options *values)
{
	const struct staple_fetch_options options = {
		.proxy = values->proxy,
		.ca_file = values->ca_file,
		.max_response = values->max_response,
	};

	staple_fetcher_configure(office->fetcher, &options);
}

void
staple_office_apply(
    struct staple_office *office, struct staple_settings *settings)
{
	staple_settings_ref(settings);
	if (office->fetcher != NULL)
		configure_fetcher(office, &settings->values);
	staple_permits_resize(office->permits, settings->values.max_fetches);
	/* Borrowed by the fetcher until now. */
	staple_settings_unref(office->settings);
	office->settings = settings;
}

static bool
open_store(struct staple_office *office, struct err *err)
{
	const char *folder = office->settings->values.store_dir;

	if (folder == NULL)
		return true;
	office->store = staple_store_open(folder, err);
	if (office->store == NULL)
		return false;
	office->issuer_store = staple_store_open_issuers(folder, err);
	return office->issuer_store != NULL &&
	       staple_store_make_folder(office->issuer_store, err);
}

bool
staple_office_open(struct staple_office *office,
    struct staple_settings *settings, struct err *err)
{
	const struct staple_options *values = &settings->values;

	staple_hosts_init(&office->hosts);
	office->log = values->log;
	office->on_change = values->on_change;
	office->arg = values->arg;
	office->permits = staple_permits_new(values->max_fetches);
	if (office->permits == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	staple_office_apply(office, settings);
	return open_store(office, err);
}

bool
staple_office_equip(struct staple_office *office, struct err *err)
{
	office->fetcher = staple_fetcher_new(err);
	if (office->fetcher == NULL)
		return false;
	configure_fetcher(office, &office->settings->values);
	return true;
}

void
staple_office_close(struct staple_office *office)
{
	staple_fetcher_free(office->fetcher);
	staple_permits_free(office->permits);
	staple_hosts_fini(&office->hosts);
	heap_fini(&office->agenda);
	staple_store_close(office->store);
	staple_store_close(office->issuer_store);
	staple_issuers_fini(&office->issuers);
	staple_settings_unref(office->settings);
}

void
staple_office_expect(struct staple_office *office, int64_t mono_ms)
{
	if (mono_ms < office->wake_ms)
		office->wake_ms = mono_ms;
}
