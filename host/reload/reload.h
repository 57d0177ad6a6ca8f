/* reload: the running scripts and settings are replaced as a whole, on every ingest worker and
 * every HTTP state, or nothing is. Everything is read, loaded, checked and built aside; what
 * remains then is a change of pointers between two batches and two requests, which cannot fail. */
#ifndef AGG_HOST_RELOAD_RELOAD_H
#define AGG_HOST_RELOAD_RELOAD_H

#include "shadow_run/shadow_run.h"
#include "http/api_site.h"
#include "ingest/ingest.h"
#include "reaction/reactor.h"
#include "heartbeat.h"

struct reload;

struct reload_options {
    const char *config_path;
    struct script_generation *generation; /* that runs */
    struct builtin_sources sources;       /* of the HTTP paths; its health is told what runs */
    struct heartbeat *heartbeat;
    struct ingest *ingest;
    struct reactor *reactor;
    struct api *api;
    int stop_fd; /* readable once the program stops */
};

/* Everything in options must outlive it; the generation is referenced. */
struct reload *reload_create(const struct reload_options *options);
void reload_destroy(struct reload *reload);

/* All three append a JSON object that says what was done, or why nothing was. True: other scripts
 * run now. Any thread. None waits for another, or for a script that runs: what takes long is made
 * beside what runs, and is refused where other scripts have come to run when it is done. */

struct reload_request {
    const struct shadow_run_request *shadow_run; /* NULL: without one */
    bool drop; /* topics and paths that run may be missing in what stands on the disk */
};

/* By what stands on the disk, if the canary accepts it. Who is let in (api_admit) is taken from the
 * settings even where the scripts are refused. */
bool reload_from_disk(struct reload *reload, const struct reload_request *request,
                      struct buffer *json);
/* The same, if the files are others than those that were last tried; for whoever looks often. One
 * thread. */
void reload_if_changed(struct reload *reload);
/* By a generation that ran before: its number, since the start, or GENERATION_STORE_LEAST_DIGITS or
 * more of its hash, on this database; "": the one that ran last. Its files may have changed
 * meanwhile. */
bool reload_roll_back(struct reload *reload, struct slice which, struct buffer *json);
/* A canary of what stands on the disk; changes nothing. Appends what it found, a JSON object; false
 * with err where nothing could be found. */
bool reload_diff(struct reload *reload, int64_t events, struct buffer *json, struct err *err);
/* Appends a JSON list, the generations that are kept, the running one first; then the member
 * "reloads_under_way". */
void reload_list(struct reload *reload, struct buffer *json);

#endif
