#include "admin_site.h"

#include <stdlib.h>
#include <strings.h>

#include "http/credentials.h"
#include "http/endpoint.h"
#include "http/router.h"
#include "http/exchange.h"
#include "base/log.h"
#include "base/json_scan.h"
#include "base/xalloc.h"

#define SCHEME "Bearer "

struct admin_site {
    const struct admin_verb *verbs;
    size_t count;
    void *context;
    struct credentials *keys;
    struct script_route *routes; /* one for each verb */
    struct endpoint **endpoints; /* one for each verb */
    struct endpoint *refused;    /* of requests that are not routed */
};

struct admin_site *admin_site_create(const struct config *config, const struct admin_verb *verbs,
                                     size_t count, void *context, struct err *err) {
    struct admin_site *site = xcalloc(1, sizeof *site);
    *site = (struct admin_site){
        .verbs = verbs,
        .count = count,
        .context = context,
        .keys = credentials_create("admin.keys", &config->admin.keys, err),
        .routes = xcalloc(count, sizeof *site->routes),
        .endpoints = xcalloc(count, sizeof *site->endpoints),
        .refused = endpoint_of_own("admin"),
    };
    for (size_t i = 0; i < count; i++) {
        site->routes[i] = (struct script_route){
            .method = verbs[i].method, .paths = verbs[i].paths, .path_count = verbs[i].path_count};
        site->endpoints[i] = endpoint_of_own(verbs[i].endpoint);
    }
    if (!site->keys) {
        admin_site_destroy(site);
        return NULL;
    }
    return site;
}

void admin_site_destroy(struct admin_site *site) {
    if (site) {
        credentials_destroy(site->keys);
        free(site->routes);
        free(site->endpoints);
        free(site);
    }
}

static enum admission_result admin_site_judge(const struct admin_site *site,
                                              struct slice authorization) {
    size_t scheme_len = sizeof SCHEME - 1;
    if (authorization.len <= scheme_len ||
        strncasecmp(authorization.data, SCHEME, scheme_len) != 0) {
        return ADMISSION_MISSING_KEY;
    }
    struct slice key = {authorization.data + scheme_len, authorization.len - scheme_len};
    return credentials_include(site->keys, key) ? ADMISSION_GOOD : ADMISSION_WRONG_KEY;
}

static char *admin_site_unescape(const struct json_value *value) {
    char *text = xcalloc(1, value->raw.len + 1);
    text[json_unescape(value, text)] = '\0';
    return text;
}

/* The reason of a refusal, for the log: the member `error`, or the whole answer. */
static char *admin_site_copy_reason(struct slice json) {
    struct json_cursor cursor;
    struct json_value key, value;
    bool more = true;
    json_begin(&cursor, json);
    enum json_type kind;
    bool good = json_peek(&cursor, &kind) && kind == JSON_OBJECT && json_enter(&cursor);
    while (good && json_next_member(&cursor, &key, &more) && more && json_read(&cursor, &value)) {
        if (value.type == JSON_STRING && slice_equal(key.raw, slice_of("error"))) {
            return admin_site_unescape(&value);
        }
    }
    return xstrndup(json.data, json.len);
}

/* On a worker. */
static void admin_site_ask(void *context, struct exchange *exchange) {
    const struct admin_site *site = context;
    const struct router_pairs *params = &exchange->plan.match.params;
    const struct router_pairs *query = &exchange->plan.query;
    struct admin_request request = {params->items, params->count, query->items, query->count};
    struct buffer json = {0};
    int status = site->verbs[exchange->plan.match.route].answer(site->context, &request, &json);
    /* A console that is open asks every few seconds. */
    bool routine =
        !exchange->request.fields[FIELD_AUTHORIZATION].data && request_reads(&exchange->request);
    LOG_AT(routine ? LOG_DEBUG : LOG_INFO, "admin request answered",
           LOG_TEXT("endpoint", exchange->endpoint->name), LOG_INT("status", status),
           LOG_TEXT("client_certificate", exchange->client));
    response_set_momentary(&exchange->response, cached_response_create(status, buffer_slice(&json)),
                           "application/json");
    if (status >= 400) {
        exchange->why = admin_site_copy_reason(buffer_slice(&json));
    }
    buffer_free(&json);
}

static void admin_site_plan_verb(struct admin_site *site, struct exchange *exchange) {
    const struct request *request = &exchange->request;
    struct plan *plan = &exchange->plan;
    enum router_result found = router_find(site->routes, site->count, request, &plan->match);
    if (found == ROUTER_FOUND || found == ROUTER_BAD_PARAMETER) {
        exchange->endpoint = site->endpoints[plan->match.route];
    }
    if (found != ROUTER_FOUND) {
        router_refuse(found, &plan->match, &exchange->response);
        return;
    }
    const char *problem = router_parse_query(request->query, &plan->query);
    if (!problem && plan->query.count > 0 && !site->verbs[plan->match.route].takes_query) {
        problem = ADMIN_NO_QUERY;
    }
    if (problem) {
        response_set_error(&exchange->response, 400, problem);
        return;
    }
    plan->context = site;
    plan->carry_out = admin_site_ask;
}

bool admin_site_admits(const struct admin_site *site, struct exchange *exchange) {
    enum admission_result result =
        admin_site_judge(site, exchange->request.fields[FIELD_AUTHORIZATION]);
    if (result != ADMISSION_GOOD) {
        endpoint_count_unauthorized(exchange->endpoint, result);
        exchange->why = xstrdup(admission_reason(result));
        response_set_error(&exchange->response, 401, admission_message(result));
        exchange->response.challenge = "Bearer";
    }
    return result == ADMISSION_GOOD;
}

void admin_site_plan_admitted(struct admin_site *site, struct exchange *exchange) {
    exchange->endpoint = site->refused;
    if (exchange->request.has_body) {
        response_set_body_refused(&exchange->response);
    } else if (slice_equal(exchange->request.path, slice_of("*"))) {
        response_set_options(&exchange->response, "GET, HEAD, POST, OPTIONS");
    } else {
        admin_site_plan_verb(site, exchange);
    }
}

static void admin_site_plan(void *context, struct exchange *exchange) {
    struct admin_site *site = context;
    exchange->endpoint = site->refused;
    if (admin_site_admits(site, exchange)) {
        admin_site_plan_admitted(site, exchange);
    }
}

struct site admin_site(struct admin_site *site) {
    return (struct site){site, admin_site_plan};
}
