/*
 * A request to the admin endpoint: libcurl, one request a call.  The calling
 * thread.
 *
 * The environment's proxy is left out: the endpoint is on this host.
 */
#include "admin/client.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/addr.h"
#include "base/err.h"

#define ANSWER_MAX (256u << 20) /* bytes */

const struct config_accept *
client_find(const struct config *config)
{
	const struct config_accepts *listen = &config->admin.listen;
	const struct config_accept *found = NULL;

	for (size_t i = 0; i < listen->count; i++) {
		const struct addr *addr = &listen->items[i].addr;

		if (addr_is_unix(addr))
			return &listen->items[i];
		if (found == NULL && addr_port(addr) != 0)
			found = &listen->items[i];
	}
	return found;
}

/* The address to connect to. */
static struct addr
reachable(const struct addr *addr)
{
	struct addr to = *addr;

	if (to.sa.sa_family == AF_INET &&
	    to.in.sin_addr.s_addr == htonl(INADDR_ANY))
		to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (to.sa.sa_family == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&to.in6.sin6_addr))
		to.in6.sin6_addr = in6addr_loopback;
	return to;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct client_answer *answer = arg;
	size_t len = size * count;
	char *grown;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	grown = realloc(answer->body, answer->len + len + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + answer->len, bytes, len);
	answer->body = grown;
	answer->len += len;
	grown[answer->len] = '\0';
	return len;
}

/* The URL, and the path of a Unix socket. */
static bool
set_address(CURL *easy, const struct addr *addr, const char *target)
{
	struct addr to = reachable(addr);
	char text[ADDR_TEXT_MAX], url[ADDR_TEXT_MAX + 1024];
	bool is_unix = addr_is_unix(addr);

	addr_print(&to, text, sizeof(text));
	snprintf(url, sizeof(url), "http://%s%s", is_unix ? "localhost" : text,
	    target);
	return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       (!is_unix || curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
				to.un.sun_path) == CURLE_OK);
}

static bool
set_up(CURL *easy, const char *method, uint32_t timeout_ms,
    struct client_answer *answer)
{
	bool post = strcmp(method, "POST") == 0;
	int bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	if (post) {
		bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
	}
	return bad == 0;
}

bool
client_request(const struct config_accept *listen, const char *method,
    const char *target, uint32_t timeout_ms, struct client_answer *answer,
    struct err *err)
{
	CURL *easy = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	char text[ADDR_TEXT_MAX];

	memset(answer, 0, sizeof(*answer));
	if (easy != NULL && set_up(easy, method, timeout_ms, answer) &&
	    set_address(easy, &listen->addr, target))
		code = curl_easy_perform(easy);
	if (code == CURLE_OK)
		(void)curl_easy_getinfo(
		    easy, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_cleanup(easy);
	if (code == CURLE_OK && answer->body == NULL)
		answer->body = strdup("");
	if (code == CURLE_OK && answer->body != NULL)
		return true;
	err_set(err, "no answer of the admin endpoint %s: %s",
	    addr_print(&listen->addr, text, sizeof(text)),
	    curl_easy_strerror(code));
	client_answer_free(answer);
	return false;
}

void
client_answer_free(struct client_answer *answer)
{
	free(answer->body);
	memset(answer, 0, sizeof(*answer));
}

char *
client_target(const char *path, const char *certificate)
{
	char *escaped = curl_easy_escape(NULL, certificate, 0);
	char *target = NULL;

	if (escaped != NULL &&
	    asprintf(&target, "%s?certificate=%s", path, escaped) < 0)
		target = NULL;
	curl_free(escaped);
	return target;
}
