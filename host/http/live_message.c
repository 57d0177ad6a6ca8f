/* live_message: the bytes of events (HTML Living Standard 9.2.6). */
#include <stdlib.h>
#include <string.h>

#include "base/json_put.h"
#include "base/xalloc.h"
#include "live.h"

static struct live_message *live_message_create(struct slice bytes) {
    struct live_message *message = xcalloc(1, sizeof *message + bytes.len);
    message->refs = 1;
    message->len = bytes.len;
    memcpy(message->bytes, bytes.data, bytes.len);
    return message;
}

/* A line end within JSON is white space, and would end the field `data`: clients join its lines by
 * line feeds. */
static void live_message_append_data(struct buffer *text, struct slice json) {
    for (size_t i = 0; i < json.len;) {
        size_t from = i;
        while (i < json.len && json.data[i] != '\n' && json.data[i] != '\r') {
            i++;
        }
        buffer_append(text, json.data + from, i - from);
        if (i < json.len) {
            buffer_append_text(text, "\ndata: ");
            i++;
        }
    }
}

/* The id is the ETag without its quotes: a client that has this answer sends it as Last-Event-ID.
 */
struct live_message *live_message_of(const struct cached_response *cached, bool with_answer) {
    struct buffer text = {0};
    buffer_append_format(&text, "id: %.*s\nevent: change\ndata: {", (int)strlen(cached->etag) - 2,
                         cached->etag + 1);
    buffer_append_format(&text, "\"status\":%d", cached->status);
    json_put_text(&text, "etag", slice_of(cached->etag));
    if (with_answer) {
        json_put_name(&text, "answer");
        live_message_append_data(&text, cached->body);
    }
    buffer_append_text(&text, "}\n\n");
    struct live_message *message = live_message_create(buffer_slice(&text));
    buffer_free(&text);
    return message;
}

struct live_message *live_message_heartbeat(void) {
    return live_message_create(slice_of(":\n\n"));
}

struct live_message *live_message_ref(struct live_message *message) {
    __atomic_add_fetch(&message->refs, 1, __ATOMIC_RELAXED);
    return message;
}

void live_message_unref(struct live_message *message) {
    if (message && __atomic_sub_fetch(&message->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(message);
    }
}
