#include "show_answer.h"

#include "base/clock.h"
#include "base/json_put.h"
#include "show.h"

/* The whole head, with CRLF. */
static void show_answer_put_head(const struct response *response, const char *correlation_id,
                                 struct buffer *head) {
    char lines[RESPONSE_HEAD_BYTES], date[RESPONSE_DATE_BYTES];
    response_format_date(clock_wall_us(), date);
    buffer_append(head, lines, response_format_head(response, correlation_id, date, lines));
    struct slice tail = response_tail(response);
    buffer_append_slice(head, tail);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void show_answer_put_notes(const struct shown_answer *shown, struct buffer *out) {
    buffer_append_format(out, "%s  %.1f ms\n", shown->route->name, (double)shown->took_us / 1000);
    if (shown->dropped_bytes > 0) {
        buffer_append_format(out, "  cut     the last %zu bytes of the body are not shown\n",
                             shown->dropped_bytes);
    }
    if (shown->error.len > 0) {
        buffer_append_text(out, "  failed: ");
        show_lines(out, buffer_slice(&shown->error));
    }
    if (shown->calls.len > 0) {
        buffer_append_format(out, "  asked\n%s", shown->calls.data);
    }
    if (shown->tags.len > 0) {
        buffer_append_format(out, "  tags    %s\n", shown->tags.data);
    }
    if (shown->cache_key.len > 0) {
        buffer_append_format(out, "  cached  %s  for %d s\n", shown->cache_key.data,
                             shown->cache_ttl_s);
    }
}

static void show_answer_text(const struct shown_answer *shown, const struct response *response,
                             struct slice head, struct buffer *out) {
    struct slice body = response_body(response);
    buffer_append_replaced(out, head.data, "\r", "");
    buffer_append_slice(out, body);
    buffer_append_text(out, body.len > 0 && body.data[body.len - 1] != '\n' ? "\n" : "");
    if (shown->route && shown->took_us > 0) {
        buffer_append_text(out, body.len > 0 ? "\n" : "");
        show_answer_put_notes(shown, out);
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* "Name: value" lines, behind the status line. */
static void show_answer_put_headers(struct buffer *json, struct slice head) {
    const char *end = head.data + head.len;
    const char *at = memchr(head.data, '\n', head.len);
    json_open(json, "headers", "{");
    for (at++; at < end && *at != '\r';) {
        char name[128];
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        snprintf(name, sizeof name, "%.*s", (int)(colon - at), at);
        json_put_text(json, name, (struct slice){colon + 2, (size_t)(stop - colon) - 2});
        at = stop + 2;
    }
    buffer_append_text(json, "}");
}

static void show_answer_json(const struct shown_answer *shown, const struct response *response,
                             struct slice head, struct buffer *json) {
    const struct script_route *route = shown->route;
    buffer_append_text(json, "{");
    json_put_text(json, "route", slice_of(route ? route->name : NULL));
    json_put_int(json, "status", response->status);
    show_answer_put_headers(json, head);
    json_put_text(json, "body", response_body(response));
    json_put_int(json, "dropped_bytes", (int64_t)shown->dropped_bytes);
    json_put_text(json, "error", slice_of(shown->error.data));
    json_put_text(json, "cache_key",
                  slice_of(shown->cache_key.len > 0 ? shown->cache_key.data : NULL));
    json_put_list(json, "tags", &shown->tags);
    json_put_list(json, "calls", &shown->calls);
    json_put_int(json, "took_us", shown->took_us);
    buffer_append_text(json, "}\n");
}

bool show_answer(const struct shown_answer *shown, const struct response *response,
                 const char *correlation_id, bool as_json, struct err *err) {
    struct buffer head = {0}, out = {0};
    show_answer_put_head(response, correlation_id, &head);
    (as_json ? show_answer_json : show_answer_text)(shown, response, buffer_slice(&head), &out);
    bool ok = show_write(&out, err);
    buffer_free(&head);
    buffer_free(&out);
    return ok;
}

void show_answer_free(struct shown_answer *shown) {
    buffer_free(&shown->error);
    buffer_free(&shown->cache_key);
    buffer_free(&shown->tags);
    buffer_free(&shown->calls);
    buffer_free(&shown->unavailable);
}
