/* program_private: what the files of program/ share. program.c starts and stops the parts,
 * administration.c those for operators; handover.c takes over from another process and hands over
 * to one; drain.c ends requests and ingestion. */
#pragma once

#include "admin/admin_site.h"
#include "admin/socket.h"
#include "admin/verbs.h"
#include "console/console_site.h"
#include "http/http_server.h"
#include "monitor/health.h"
#include "program.h"
#include "upgrade/upgrade.h"

/* Names of the sockets that a service manager or a predecessor hands over (FileDescriptorName=). */
#define SOCKET_HTTP "http"
#define SOCKET_ADMIN "admin"
#define SOCKET_COMMANDS "admin-socket"
#define SOCKET_OWN_COMMANDS "admin-socket.own" /* its path is removed at the end */

struct program {
    const struct config *config;
    const char *config_path;
    char *const *argv;
    bool is_successor; /* and has not taken over yet */
    _Atomic bool handed_over;
    struct watchdog *watchdog;
    struct script_generation *generation;
    struct cache *cache;
    struct outbox_relay *relay;  /* NULL: another process publishes */
    struct reactor *reactor;     /* NULL: likewise, without workers */
    struct retention *retention; /* NULL: likewise */
    struct audit *audit;         /* NULL: without Redis, or without caches */
    struct ingest *ingest;
    struct health *health;
    struct figures *figures;
    struct api *api;
    struct certificates *certificates; /* of the API's listener */
    int http_listener, admin_listener; /* until the servers start, which then own them */
    struct http_server *http;
    struct heartbeat *heartbeat;
    struct reload *reload;
    struct upgrade *upgrade;
    struct admin_context admin;
    struct admin_site *admin_site;           /* NULL: admin.keys is empty */
    struct console_site *console_site;       /* likewise */
    struct certificates *admin_certificates; /* NULL: admin.keys is empty, as the next */
    struct http_server *admin_http;
    struct admin_socket *admin_socket; /* NULL: it could not be opened */
    struct liveness *liveness;         /* NULL: no service manager asks for it */
};

/* ---- program.c ----------------------------------------------------------------------------- */

struct builtin_sources program_builtin_sources(const struct program *program);
struct http_headers program_headers(const struct config *config);
struct http_address program_admin_address(const struct config *config);

/* ---- administration.c ---------------------------------------------------------------------- */

/* Heartbeat, reload, upgrade, the verbs and their listener. */
bool administration_start(struct program *program, struct err *err);
/* Of both listeners and of the socket for commands, which is there before the first response: who
 * saw that the process answers may reload it. Commands are a convenience: the service also runs
 * without their socket. */
void administration_let_clients_in(struct program *program);

/* ---- handover.c ---------------------------------------------------------------------------- */

/* An inherited listening socket; 0: none. */
int handover_inherited(const char *name);
void handover_start(struct program *program);
/* Lets clients in. A process that `aggregator upgrade` started waits for its turn before, and takes
 * the partitions over. False with an empty err: a signal asked the process to stop. */
bool handover_take(struct program *program, struct err *err);

/* ---- drain.c ------------------------------------------------------------------------------- */

/* Ends requests and ingestion side by side: another process gets the partitions at once. False: a
 * request or command is not answered by the deadline. */
bool drain_run(struct program *program);
