/*
 * The handshakes that check a listener, derived from its configuration.  Main
 * thread.
 *
 * Certificates of cert_dir are not checked one by one.  A failure of one of them
 * concerns its own names alone: the daemon neither ends nor refuses a reload for
 * it, so it does not make the process unhealthy.  A server name is taken from a
 * certificate only if the listener refuses handshakes without a name or has
 * several certificates.
 */
#include "runtime/healthcheck_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/limit.h"
#include "runtime/cert_slot.h"

/* ---- Addresses ---- */

static void
set_loopback(struct addr *addr, int family, uint16_t port)
{
	memset(addr, 0, sizeof(*addr));
	if (family == AF_INET) {
		addr->in.sin_family = AF_INET;
		addr->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr->len = sizeof(addr->in);
	} else {
		addr->in6.sin6_family = AF_INET6;
		addr->in6.sin6_addr = in6addr_loopback;
		addr->len = sizeof(addr->in6);
	}
	addr_set_port(addr, port);
}

/* Would the listener accept a connection from this address?  false: *err. */
static bool
is_admitted(const struct config_listener *listener, const struct addr *source,
    struct err *err)
{
	char text[ADDR_TEXT_MAX];

	addr_print_host(source, text, sizeof(text));
	if (listener->proxy_in && !limit_trusts(listener, source)) {
		err_set(err,
		    "health checks come from %s, which is not in proxy_trust: "
		    "add it",
		    text);
		return false;
	}
	if (!limit_allows(listener, source)) {
		err_set(err,
		    "health checks come from %s, which allow and deny refuse: "
		    "admit it",
		    text);
		return false;
	}
	return true;
}

static bool
is_wildcard(const struct addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return addr->sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
}

/* A socket for both families is reached by IPv4, because a container often has
 * no ::1; by IPv6 if the listener admits only ::1. */
static bool
reach_wildcard(struct healthcheck_target *target,
    const struct config_listener *listener, const struct addr *addr,
    struct err *err)
{
	bool v6 = addr->sa.sa_family == AF_INET6;
	struct err ignored;

	set_loopback(&target->address,
	    v6 && listener->v6only ? AF_INET6 : AF_INET, addr_port(addr));
	if (is_admitted(listener, &target->address, err))
		return true;
	if (!v6 || listener->v6only)
		return false;
	set_loopback(&target->address, AF_INET6, addr_port(addr));
	return is_admitted(listener, &target->address, &ignored);
}

/* A specific address is also the source address: if it is not on this host yet
 * (bind_early), bind fails, and no packet leaves the host.  false: *err. */
static bool
reach(struct healthcheck_target *target, const struct config_listener *listener,
    const struct addr *addr, struct err *err)
{
	target->address = *addr;
	target->source.len = 0;
	if (addr_is_unix(addr))
		return is_admitted(listener, addr, err);
	if (addr_port(addr) == 0) {
		err_set(err, "its port is chosen at the start (port 0), and is "
			     "unknown to other processes");
		return false;
	}
	if (listener->device != NULL && strcmp(listener->device, "lo") != 0) {
		err_set(err,
		    "it accepts connections only through %s (device), not "
		    "from this host",
		    listener->device);
		return false;
	}
	if (is_wildcard(addr))
		return reach_wildcard(target, listener, addr, err);
	target->source = *addr;
	addr_set_port(&target->source, 0);
	return is_admitted(listener, addr, err);
}

/* ---- Names and certificates ---- */

static bool
is_full(const struct healthcheck_plan *plan)
{
	return plan->count == HEALTHCHECK_TARGETS_MAX;
}

/* A new target, a copy of `from`.  NULL: the plan is full. */
static struct healthcheck_target *
add(struct healthcheck_plan *plan, const struct healthcheck_target *from)
{
	struct healthcheck_target *target;

	if (is_full(plan))
		return NULL;
	target = &plan->targets[plan->count++];
	*target = *from;
	return target;
}

/* The site of this name, as sni.c finds it: the exact pattern, else the wildcard
 * for its leftmost label, else the listener. */
static const struct config_listener *
find_site(const struct config_listener *listener, const char *name)
{
	const struct config_listener *wild = NULL;
	const char *rest = strchr(name, '.');

	for (size_t i = 0; i < listener->host_count; i++) {
		const struct config_listener *host = &listener->hosts[i];

		if (strcmp(host->pattern, name) == 0)
			return host;
		if (rest != NULL && host->pattern[0] == '*' &&
		    strcmp(host->pattern + 1, rest) == 0)
			wild = host;
	}
	return wild != NULL ? wild : listener;
}

static const char *
staple_file_of(const struct config_listener *settings, size_t i)
{
	const struct config_path *path = config_staple_file_of(settings, i);

	return path != NULL ? path->path : NULL;
}

static void
set_cert(struct healthcheck_target *target,
    const struct config_listener *settings, size_t i)
{
	target->cert = settings->certs.items[i].path;
	target->staple_file = staple_file_of(settings, i);
}

/* The certificate that a client without a name gets. */
static void
add_default(struct healthcheck_plan *plan,
    const struct config_listener *listener,
    const struct healthcheck_target *from)
{
	struct healthcheck_target *target = add(plan, from);

	if (target == NULL)
		return;
	target->in_folder = listener->certs.count == 0;
	if (listener->certs.count == 1)
		set_cert(target, listener, 0);
}

/* Each certificate of `cert`, by a name in it, unless that name belongs to a
 * host with certificates of its own. */
static void
add_certs(struct healthcheck_plan *plan, const struct config_listener *listener,
    const struct healthcheck_target *from)
{
	struct healthcheck_target one = *from;
	enum identity_kind kind;
	struct err ignored;

	for (size_t i = 0; i < listener->certs.count && !is_full(plan); i++) {
		if (!probe_read_cert(listener->certs.items[i].path, &kind,
			one.name, &ignored))
			continue;
		one.settings = find_site(listener, one.name);
		if (one.settings->certs_own ||
		    (one.name[0] == '\0' &&
			listener->sni_unknown == SNI_REJECT))
			continue;
		one.kind = listener->certs.count > 1 ? kind : IDENTITY_KINDS;
		set_cert(&one, listener, i);
		(void)add(plan, &one);
	}
}

static void
add_host_certs(struct healthcheck_plan *plan,
    const struct config_listener *host, const struct healthcheck_target *from)
{
	struct healthcheck_target one = *from;
	char unused[PROBE_NAME_MAX];
	struct err ignored;

	for (size_t i = 0; i < host->certs.count && !is_full(plan); i++) {
		one.kind = IDENTITY_KINDS;
		if (host->certs.count > 1 &&
		    !probe_read_cert(
			host->certs.items[i].path, &one.kind, unused, &ignored))
			continue;
		set_cert(&one, host, i);
		(void)add(plan, &one);
	}
}

static void
add_hosts(struct healthcheck_plan *plan, const struct config_listener *listener,
    const struct healthcheck_target *from)
{
	struct healthcheck_target one = *from;

	for (size_t i = 0; i < listener->host_count && !is_full(plan); i++) {
		one.settings = &listener->hosts[i];
		probe_name_for(one.name, one.settings->pattern);
		one.in_folder = false;
		if (one.settings->certs_own) {
			add_host_certs(plan, one.settings, &one);
			continue;
		}
		one.in_folder = listener->certs.count == 0;
		(void)add(plan, &one);
	}
}

/* The listener refuses handshakes without a name: take one from a certificate of
 * cert_dir. */
static void
add_from_folder(struct healthcheck_plan *plan,
    const struct config_listener *listener,
    const struct healthcheck_target *from)
{
	struct healthcheck_target one = *from;
	struct cert_dir folder = { 0 };
	enum identity_kind kind;
	struct err ignored;

	one.in_folder = true;
	if (!cert_dir_list(&folder, listener->cert_dir, &ignored))
		folder.count = 0;
	for (size_t i = 0; i < folder.count; i++) {
		if (!probe_read_cert(
			folder.items[i].cert, &kind, one.name, &ignored) ||
		    one.name[0] == '\0')
			continue;
		one.settings = find_site(listener, one.name);
		(void)add(plan, &one);
		break;
	}
	cert_dir_free(&folder);
}

static void
add_all(struct healthcheck_plan *plan, const struct config_listener *listener,
    const struct healthcheck_target *from)
{
	bool reject = listener->sni_unknown == SNI_REJECT;

	if (!reject)
		add_default(plan, listener, from);
	if (reject || listener->certs.count > 1)
		add_certs(plan, listener, from);
	add_hosts(plan, listener, from);
	if (plan->count == 0 && listener->cert_dir != NULL)
		add_from_folder(plan, listener, from);
	if (plan->count == 0)
		add_default(plan, listener, from);
}

bool
healthcheck_plan_make(struct healthcheck_plan *plan,
    const struct config_listener *listener, struct err *err)
{
	struct healthcheck_target one = { .settings = listener,
		.kind = IDENTITY_KINDS },
				  first;

	*plan = (struct healthcheck_plan){ .targets = calloc(
					       HEALTHCHECK_TARGETS_MAX,
					       sizeof(plan->targets[0])) };
	if (plan->targets == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	err_set(err, "its socket is handed over (fd), and no other process "
		     "can connect to it by an address");
	for (size_t i = 0; i < listener->accept.count; i++) {
		if (!reach(
			&one, listener, &listener->accept.items[i].addr, err))
			continue;
		if (plan->count == 0) {
			add_all(plan, listener, &one);
			first = plan->targets[0];
			continue;
		}
		first.address = one.address;
		first.source = one.source;
		(void)add(plan, &first);
	}
	return plan->count > 0;
}

void
healthcheck_plan_free(struct healthcheck_plan *plan)
{
	free(plan->targets);
	*plan = (struct healthcheck_plan){ NULL, 0 };
}
