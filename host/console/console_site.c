#include "console_site.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "assets.h"
#include "base/clock.h"
#include "base/json_put.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "http/endpoint.h"
#include "http/exchange.h"
#include "sessions.h"

#define SESSION_PATH "/console/session"
#define COOKIE_NAME_BYTES 32
#define PORT_DIGITS_MAX 5
#define JSON "application/json"

/* Of every response, so that no error page is an exception. Content Security Policy Level 3 (W3C);
 * trusted types forbid the DOM's functions that parse HTML. */
static const char console_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src "
    "'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

struct console_site {
    struct admin_site *admin;
    struct sessions *sessions;
    struct assets *assets;
    struct endpoint *endpoint;
};

struct console_site *console_site_create(struct admin_site *admin) {
    struct console_site *site = xcalloc(1, sizeof *site);
    *site = (struct console_site){
        .admin = admin,
        .sessions = sessions_create(),
        .assets = assets_create(),
        .endpoint = endpoint_of_own("console"),
    };
    return site;
}

void console_site_destroy(struct console_site *site) {
    if (site) {
        sessions_destroy(site->sessions);
        assets_destroy(site->assets);
        free(site);
    }
}

/* ---- the cookie (RFC 6265) ----------------------------------------------------------------- */

/* Browsers send a cookie to every port of a host, so that two programs behind one host would sign
 * each other out: the name has the port that the browser called. */
static void console_site_name_cookie(const struct request *request, char name[COOKIE_NAME_BYTES]) {
    struct slice host = request->fields[FIELD_HOST];
    size_t digits = 0;
    while (digits < host.len && digits < PORT_DIGITS_MAX &&
           isdigit((unsigned char)host.data[host.len - 1 - digits])) {
        digits++;
    }
    bool has_port = digits < host.len && host.data[host.len - 1 - digits] == ':';
    snprintf(name, COOKIE_NAME_BYTES, "aggregator_console%s%.*s", has_port ? "_" : "",
             has_port ? (int)digits : 0, host.data ? host.data + host.len - digits : "");
}

/* The session's token; data NULL: none. */
static struct slice console_site_token(const struct request *request) {
    struct slice rest = request->fields[FIELD_COOKIE];
    char name[COOKIE_NAME_BYTES];
    console_site_name_cookie(request, name);
    size_t name_len = strlen(name);
    while (rest.len > 0) {
        const char *end = memchr(rest.data, ';', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        if (len > name_len && memcmp(rest.data, name, name_len) == 0 &&
            rest.data[name_len] == '=') {
            return (struct slice){rest.data + name_len + 1, len - name_len - 1};
        }
        len += end != NULL;
        len += len < rest.len && rest.data[len] == ' ';
        rest = (struct slice){rest.data + len, rest.len - len};
    }
    return (struct slice){0};
}

/* Secure where the browser speaks TLS, to this program or to a proxy before it. Token "" ends the
 * cookie. */
static void console_site_set_cookie(struct exchange *exchange, const char *token) {
    struct slice origin = exchange->request.fields[FIELD_ORIGIN];
    bool secure =
        exchange->is_encrypted || (origin.len > 8 && memcmp(origin.data, "https://", 8) == 0);
    char name[COOKIE_NAME_BYTES];
    console_site_name_cookie(&exchange->request, name);
    snprintf(exchange->response.cookie, sizeof exchange->response.cookie,
             "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", name, token,
             token[0] ? SESSIONS_ABSOLUTE_S : 0, secure ? "; Secure" : "");
}

/* ---- whose request it is ------------------------------------------------------------------- */

static bool console_site_is_of(struct slice origin, const char *scheme, struct slice host) {
    size_t len = strlen(scheme);
    return origin.len > len && memcmp(origin.data, scheme, len) == 0 &&
           slice_equal((struct slice){origin.data + len, origin.len - len}, host);
}

/* The scheme, too, is part of an origin (RFC 6454, 4): a page that came over plain HTTP may be
 * anybody's. Without TLS of this listener the browser may still speak TLS, to a proxy before it. */
static bool console_site_is_own_origin(const struct exchange *exchange) {
    struct slice origin = exchange->request.fields[FIELD_ORIGIN];
    struct slice host = exchange->request.fields[FIELD_HOST];
    return console_site_is_of(origin, "https://", host) ||
           (!exchange->is_encrypted && console_site_is_of(origin, "http://", host));
}

/* Against forged requests of other pages (CSRF), beside SameSite, which other ports of the same
 * host pass: Sec-Fetch-Site (Fetch Metadata, W3C), and where the browser does not send it, as over
 * plain HTTP to another machine, Origin (RFC 6454), which browsers send with all but GET and HEAD.
 * A request that changes something has one of the two; a GET may have neither. */
static bool console_site_is_same_origin(const struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct slice from = request->fields[FIELD_FETCH_SITE];
    if (from.len > 0) {
        return slice_equal(from, slice_of("same-origin")) ||
               (slice_equal(from, slice_of("none")) && request_reads(request));
    }
    return request->fields[FIELD_ORIGIN].len > 0 ? console_site_is_own_origin(exchange)
                                                 : request_reads(request);
}

static void console_site_refuse_origin(struct exchange *exchange) {
    exchange->why = xstrdup("the request comes from another origin, or does not say from which");
    response_set_error(&exchange->response, 403,
                       "Requests of a session are accepted from the console's own pages only");
}

/* ---- sessions ------------------------------------------------------------------------------ */

static void console_site_answer_session(struct exchange *exchange, int64_t left_s) {
    struct buffer json = {0};
    buffer_append_text(&json, "{");
    json_put_int(&json, "ends_in_s", left_s);
    json_put_int(&json, "idle_limit_s", SESSIONS_IDLE_S);
    buffer_append_text(&json, "}");
    response_set_momentary(&exchange->response, cached_response_create(200, buffer_slice(&json)),
                           JSON);
    buffer_free(&json);
}

static void console_site_sign_in(struct console_site *site, struct exchange *exchange) {
    int64_t now_us = clock_monotonic_us();
    int wait_s = sessions_wait_s(site->sessions, now_us);
    char token[SESSIONS_TOKEN_LEN + 1];
    if (wait_s > 0) {
        response_set_error(&exchange->response, 429,
                           "Too many failed sign-ins: try again in a few seconds");
        exchange->response.retry_after_s = wait_s;
    } else if (!admin_site_admits(site->admin, exchange)) {
        sessions_note_failure(site->sessions, now_us);
    } else if (!sessions_open(site->sessions, now_us, token)) {
        response_set_error(&exchange->response, 500, "No session could be made");
    } else {
        sessions_close(site->sessions, console_site_token(&exchange->request)); /* it is replaced */
        log_info("console session opened", LOG_INT("ends_in_s", SESSIONS_ABSOLUTE_S));
        console_site_set_cookie(exchange, token);
        console_site_answer_session(exchange, SESSIONS_ABSOLUTE_S);
        explicit_bzero(token, sizeof token);
    }
}

static void console_site_sign_out(struct console_site *site, struct exchange *exchange) {
    sessions_close(site->sessions, console_site_token(&exchange->request));
    log_info("console session closed");
    console_site_set_cookie(exchange, "");
    console_site_answer_session(exchange, 0);
}

/* Seconds until its end; 0: there is none. */
static int64_t console_site_use_session(struct console_site *site,
                                        const struct exchange *exchange) {
    return sessions_use(site->sessions, console_site_token(&exchange->request),
                        clock_monotonic_us());
}

static void console_site_plan_session(struct console_site *site, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    if (request->has_body) {
        response_set_body_refused(&exchange->response);
    } else if (!console_site_is_same_origin(exchange)) {
        console_site_refuse_origin(exchange);
    } else if (request_reads(request)) {
        console_site_answer_session(exchange, console_site_use_session(site, exchange));
    } else if (slice_equal(request->method_name, slice_of("POST"))) {
        console_site_sign_in(site, exchange);
    } else if (slice_equal(request->method_name, slice_of("DELETE"))) {
        console_site_sign_out(site, exchange);
    } else {
        response_set_wrong_method(&exchange->response, "GET, HEAD, POST, DELETE");
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void console_site_plan(void *context, struct exchange *exchange) {
    struct console_site *site = context;
    const struct request *request = &exchange->request;
    exchange->endpoint = site->endpoint;
    exchange->response.lines = console_headers;
    if (slice_equal(request->path, slice_of(SESSION_PATH))) {
        console_site_plan_session(site, exchange);
    } else if (assets_answer(site->assets, exchange)) {
        return;
    } else if (request->fields[FIELD_AUTHORIZATION].data || !console_site_token(request).data) {
        admin_site(site->admin).plan(site->admin, exchange);
    } else if (!console_site_is_same_origin(exchange)) {
        console_site_refuse_origin(exchange);
    } else if (console_site_use_session(site, exchange) > 0) {
        admin_site_plan_admitted(site->admin, exchange);
    } else {
        exchange->response.challenge = "Bearer";
        response_set_error(&exchange->response, 401, "There is no such session: sign in");
    }
}

struct site console_site(struct console_site *site) {
    return (struct site){site, console_site_plan};
}
