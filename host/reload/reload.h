/* reload: replaces the running scripts and settings as a whole, on every ingest worker and every
 * HTTP state, or not at all. Everything is loaded, checked and built first; what remains is a
 * change of pointers between two batches and two requests, which cannot fail. */
#pragma once

#include "shadow_run/shadow_run.h"
#include "http/api_site.h"
#include "http/certificates.h"
#include "ingest/ingest.h"
#include "reaction/reactor.h"
#include "retention/retention.h"
#include "heartbeat.h"

struct reload;

/* Reasons in the report of a reload that had nothing to do: its scripts and settings run already,
 * but for settings that only a restart applies. */
#define RELOAD_NOTHING_CHANGED "nothing has changed"
#define RELOAD_NEEDS_RESTART "only a restart or an upgrade applies what has changed"

struct reload_options {
    const char *config_path;
    struct script_generation *generation; /* the running one */
    struct builtin_sources sources;       /* of the built-in HTTP paths */
    struct heartbeat *heartbeat;
    struct ingest *ingest;
    struct reactor *reactor;
    struct retention *retention;
    struct api *api;
    struct certificates *certificates;       /* of the API's listener */
    struct certificates *admin_certificates; /* NULL: there is no such listener */
    int stop_fd;                             /* readable when the program stops */
};

/* Everything in options must outlive it; the generation is referenced. */
struct reload *reload_create(const struct reload_options *options);
void reload_destroy(struct reload *reload);

/* The functions below append a JSON object: what was done, or why nothing was. True: the scripts
 * were replaced. Any thread. None waits for another change or for a running script: a change is
 * refused if another one finished since it began. */

struct reload_request {
    const struct shadow_run_request *shadow_run; /* NULL: none */
    bool drop; /* the scripts on the disk may lack what the running ones have: dropped.h */
};

/* By the scripts and settings on the disk. The keys (api_admit) and certificates are taken even if
 * the scripts are refused. */
bool reload_from_disk(struct reload *reload, const struct reload_request *request,
                      struct buffer *json);
/* The same, if the files changed since the last call, or an outage kept them back. One thread. */
void reload_if_changed(struct reload *reload);
/* By an earlier generation: its number since the start, or GENERATION_STORE_LEAST_DIGITS or more of
 * its hash; "": the one before. */
bool reload_roll_back(struct reload *reload, struct slice which, struct buffer *json);
struct reload_comparison {
    int64_t events; /* as in struct shadow_run_request */
    bool by_mode;   /* the scripts on the disk, interpreted, with the same, compiled */
};
/* A shadow run of the running scripts and those on the disk; changes nothing. Appends its result;
 * false: err says why there is none. */
bool reload_diff(struct reload *reload, const struct reload_comparison *comparison,
                 struct buffer *json, struct err *err);
/* Appends the running settings (config/show.h), each that differs from the disk with both values.
 * False: `only` names no setting. */
bool reload_show_config(struct reload *reload, struct slice only, bool changed, struct buffer *json,
                        struct err *err);
/* The same, of every setting, with its secrets: for commands of the same user while the
 * configuration on the disk is wrong. */
void reload_pass_config(struct reload *reload, struct buffer *json);
/* Appends a JSON list of the generations in memory, the running one first, then the member
 * "reloads_under_way". */
void reload_list(struct reload *reload, struct buffer *json);
