/* socket: the Unix socket by which `aggregator VERB` of the same user reaches the running program.
 * One request a connection: a line with a verb and its words; the response is a line of JSON. */
#pragma once

#include "verb.h"

struct admin_socket;

struct admin_socket_options {
    const char *path;
    int listener;   /* a listening socket to use instead, which is then owned; 0: none */
    bool owns_path; /* of that one: the path is removed at the end */
    const struct admin_verb *verbs;
    size_t verb_count;
    void *context; /* of the verbs */
};

/* Whether the path has the length of a socket's. */
bool admin_socket_check(const char *path, struct err *err);
/* Replaces the socket of a dead process; one that is in use is an error. Each client has a thread:
 * some verbs take long. Verbs and context must outlive the socket. */
struct admin_socket *admin_socket_start(const struct admin_socket_options *options,
                                        struct err *err);
/* *owns_path: the path is to be removed at the end. */
int admin_socket_listener(const struct admin_socket *socket, bool *owns_path);
/* Takes no more clients. hands_over: another process listens at the path. Also on a client's
 * thread. NULL is allowed. */
void admin_socket_close(struct admin_socket *socket, bool hands_over);
/* Closes it, waits for the clients, then frees. False: a client is not answered by the monotonic
 * deadline; nothing is freed, and the context must stay. */
bool admin_socket_stop(struct admin_socket *socket, int64_t deadline_us);

/* The client's side: sends a line, waits at most timeout_ms, appends the response, a JSON object.
 * ERR_TIMEOUT: none in time; ERR_UNAVAILABLE: the program is away, or answers something else. */
bool admin_call(const char *path, const char *line, int timeout_ms, struct buffer *response,
                struct err *err);
/* Sets the error for a response that lacks what a caller needs. Returns false. */
bool admin_misunderstand(const char *path, struct err *err);

#define ADMIN_WORDS_MAX 8

/* A request line: slices of it. */
struct admin_words {
    struct slice verb;
    struct script_pair params[ADMIN_WORDS_MAX]; /* words */
    size_t param_count;
    struct script_pair query[ADMIN_WORDS_MAX]; /* words with a "=" */
    size_t query_count;
};

/* False: more than ADMIN_WORDS_MAX of either kind. Pure. */
bool admin_words_split(struct slice line, struct admin_words *words);
