/*
 * The staple thread on a stage: the real worker with everything behind it, but
 * the clocks and the responders are the test's.  A test takes the thread's
 * place and runs its turns; time passes only when the test sets it, and then
 * exactly as the thread would have slept through it.  One per process.
 *
 * stage.c and stage_fetch.c define the clocks of base and the fetcher of
 * staple/fetch.h in place of the real ones: they are linked as objects, before
 * the archives.
 */
#ifndef SUPPORT_STAGE_H
#define SUPPORT_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "staple/cert.h"
#include "staple/staple.h"
#include "tests/support/authority.h"

struct staple_entry;

#define STAGE_START_S 1800000000 /* the wall clock when the curtain rises */
#define STAGE_A "http://a.example/"
#define STAGE_B "http://b.example/"
#define STAGE_AIA "OCSP;URI:" STAGE_A
#define STAGE_CA "http://ca.example/ca.crt"
#define STAGE_AIA_CA STAGE_AIA ",caIssuers;URI:" STAGE_CA
#define STAGE_AIA_BOTH STAGE_AIA ",OCSP;URI:" STAGE_B

/* What a responder does. */
enum stage_way {
	STAGE_ANSWERS, /* with `answer`, whose times are from now; zero means
			  good, a minute old, for an hour in all; where an
			  issuer is fetched, with the CA's certificate */
	STAGE_SENDS,   /* `bytes`, or `same` again and again */
	STAGE_FAILS,   /* with `outcome`, before there is an answer */
	STAGE_HANGS
};

struct stage_part {
	enum stage_way way;
	struct ocsp_wish answer;
	const char *bytes;
	const struct ocsp_made *same;
	bool wrong_type;
	enum staple_outcome outcome;
	uint32_t took_ms;
	int64_t retry_after_s;
	int64_t fresh_s; /* 0: absent */
};

enum stage_method { STAGE_ANY, STAGE_POST, STAGE_GET };

/* How the responder at this URL (NULL: every one) behaves from now on.  The
 * last call counts. */
void stage_play(
    const char *url, enum stage_method method, const struct stage_part *part);
#define STAGE_PLAY(url, ...) \
	stage_play(url, STAGE_ANY, &(const struct stage_part){ __VA_ARGS__ })

struct stage_rule {
	char url[64]; /* "": every one */
	enum stage_method method;
	struct stage_part part;
};

struct stage_actor;

/* The id in its requests. */
struct stage_request {
	struct list node; /* of its bucket */
	struct stage_actor *actor;
	enum staple_hash hash;
};

/* A certificate of the stage's own CA, held with a wish. */
struct stage_actor {
	struct list node; /* of all */
	struct stage_request requests[STAPLE_HASHES];
	struct pki leaf;
	struct staple_cert *cert; /* its state now */
	struct staple_entry *entry;
	enum staple_requirement wish;
	bool bare; /* without its chain: the issuer is to be fetched */
};

/* An exchange that was begun. */
struct stage_asked {
	const struct stage_actor *who;
	char url[64];
	bool get;
	bool sha256;
	bool no_cache;
	bool issuer; /* is fetched; no certificate */
	uint32_t timeout_ms;
	int64_t at_ms; /* monotonic */
};

struct stage_heard {
	enum staple_level level;
	enum staple_outcome outcome;
	char certificate[64];
	char id[65];
	char message[1024];
};

enum { STAGE_RULES = 64, STAGE_BUCKETS = 16384 };

struct stage {
	struct authority authority;
	struct staple_cache *cache;
	struct staple_worker *worker;
	struct list actors;
	struct list requests[STAGE_BUCKETS];
	struct stage_rule rules[STAGE_RULES];
	unsigned rule_count;

	/* what has happened */
	struct stage_asked *asked;
	unsigned asked_count, asked_room;
	unsigned at_once, most_at_once;
	struct stage_heard *heard; /* all but debugging */
	unsigned heard_count, heard_room;
	unsigned changes; /* calls of on_change */
	unsigned turns;

	/* the clocks; `horizon_ms` is as far as time may pass */
	int64_t wall_ms, mono_ms, horizon_ms;
	bool idle; /* the thread would sleep beyond the horizon */
};
extern struct stage stage;

/* The callbacks are the stage's own; options may be NULL. */
void stage_open(const struct staple_options *options);
void stage_close(void);

struct stage_actor *stage_enter(const char *aia, enum staple_requirement wish);
struct stage_actor *stage_enter_with(const struct pki_wish *pki,
    const struct staple_source *source, enum staple_requirement wish);
struct stage_actor *stage_enter_bare(
    const char *aia, enum staple_requirement wish);
void stage_leave(struct stage_actor *actor);

/* New facts for it; another wish. */
void stage_correct(
    struct stage_actor *actor, const struct staple_source *source);
void stage_wish(struct stage_actor *actor, enum staple_requirement wish);

/* Its snapshot; borrowed until the next call. */
const struct staple_info *stage_look(const struct stage_actor *actor);

/* A response about it, as a responder would give it now. */
struct ocsp_made stage_answer(
    const struct stage_actor *actor, const struct ocsp_wish *answer);

/* Turns, until the thread would sleep; the same while so much time passes. */
void stage_run(void);
void stage_pass_ms(int64_t ms);
void stage_pass(int64_t seconds);

int64_t stage_now(void);
/* The wall clock is set, forward or back; no thread is woken. */
void stage_set_clock(int64_t by_seconds);

/* For stage_fetch.c: items with room for one more; the bucket of a request. */
void *stage_grow(void *items, unsigned count, unsigned *room, size_t size);
struct list *stage_bucket(const unsigned char *der, size_t len);
/* How often an issuer was fetched. */
unsigned stage_issuers(void);

/* How many lines of this level were logged; does one have these words? */
unsigned stage_lines(enum staple_level level);
bool stage_heard(const char *words);

#endif
