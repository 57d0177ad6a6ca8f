/* message: reads and checks a message that a script publishes. */
#include "message.h"

#include "bindings/lua_json.h"
#include "bindings/lua_util.h"
#include "base/json_scan.h"

/* ---- texts --------------------------------------------------------------------------------- */

bool script_is_topic(const char *name) {
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= OUTBOX_TOPIC_MAX_BYTES && strspn(name, bytes) == len &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A text for Postgres, of limited length, borrowed from the table. */
static struct slice message_text(lua_State *L, int at, const char *call, const char *field,
                                 size_t max_bytes) {
    struct slice text = lua_field_text(L, at, call, field, true);
    const char *problem = lua_text_problem(text);
    if (problem) {
        luaL_error(L, "%s: field \"%s\" %s", call, field, problem);
    }
    if (text.len == 0 || text.len > max_bytes) {
        luaL_error(L, "%s: field \"%s\" takes 1 to %d bytes, not %d", call, field, (int)max_bytes,
                   (int)text.len);
    }
    return text;
}

static struct slice message_topic(lua_State *L, int at, const char *call) {
    struct slice topic = message_text(L, at, call, "topic", OUTBOX_TOPIC_MAX_BYTES);
    if (!script_is_topic(topic.data)) {
        luaL_error(L, "%s: \"%s\" is not a topic name: use letters, digits, . _ and -", call,
                   topic.data);
    }
    return topic;
}

/* ---- the value ----------------------------------------------------------------------------- */

static void message_check_json(lua_State *L, const char *call, struct slice text) {
    struct json_cursor cursor;
    struct json_value value;
    json_begin(&cursor, text);
    if (!json_read(&cursor, &value) || !json_finish(&cursor)) {
        luaL_error(L, "%s: field \"value\" is a string that is no JSON, at byte %d: %s", call,
                   (int)json_offset(&cursor), cursor.error);
    }
}

/* The text of the value, whose Lua string stays on the stack. */
static struct slice message_value(lua_State *L, int at, const char *call) {
    struct slice text;
    lua_getfield(L, at, "value");
    bool written = lua_type(L, -1) == LUA_TSTRING;
    if (!written && !lua_istable(L, -1)) {
        luaL_error(L, "%s: field \"value\" takes a table or a string of JSON, not a %s", call,
                   luaL_typename(L, -1));
    }
    if (!written) {
        lua_json_push_text(L);
    }
    text.data = lua_tolstring(L, -1, &text.len);
    if (written) {
        message_check_json(L, call, text);
    }
    return text;
}

/* ---- headers ------------------------------------------------------------------------------- */

/* Replaces the table of headers at the top by the JSON text of its object. */
static struct slice message_headers(lua_State *L, const char *call) {
    int at = lua_gettop(L), count = 0;
    struct slice text;
    size_t bytes = 0;
    lua_check_table(L, at, call, "field \"headers\"");
    for (lua_pushnil(L); lua_next(L, at); lua_settop(L, at + 1)) { /* [headers, name, value] */
        struct slice name = slice_of(lua_check_name(L, at + 1, call, "a header's name"));
        struct slice value =
            lua_check_text(L, at + 2, call, lua_pushfstring(L, "header \"%s\"", name.data));
        if (lua_text_problem(name) || lua_text_problem(value)) {
            luaL_error(L, "%s: header \"%s\" %s", call, name.data,
                       lua_text_problem(lua_text_problem(name) ? name : value));
        }
        bytes += name.len + value.len;
        if (++count > MESSAGE_HEADERS_MAX || bytes > MESSAGE_HEADERS_MAX_BYTES) {
            luaL_error(L, "%s: field \"headers\" takes %d headers and %d bytes at most", call,
                       MESSAGE_HEADERS_MAX, MESSAGE_HEADERS_MAX_BYTES);
        }
    }
    lua_json_push_text(L);
    text.data = lua_tolstring(L, -1, &text.len);
    return text;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* 2000-01-01. A smaller number is in seconds or milliseconds, and its message would be older than
 * any horizon. */
#define MESSAGE_TIME_MIN_US 946684800000000LL

static int64_t message_time(lua_State *L, int at, const char *call) {
    lua_getfield(L, at, "at");
    bool is_text = lua_type(L, -1) == LUA_TSTRING;
    int64_t time_us = 0;
    if (lua_type(L, -1) != LUA_TNUMBER && !(is_text && lua_read_time(L, -1, &time_us))) {
        luaL_error(L,
                   "%s: field \"at\" takes the time of the fact, whole microseconds since 1970, "
                   "not a %s",
                   call, luaL_typename(L, -1));
    }
    time_us = is_text ? time_us : script_check_time_us(L, lua_gettop(L), "field \"at\"");
    if (time_us < MESSAGE_TIME_MIN_US) {
        luaL_error(
            L,
            "%s: field \"at\" is %s, a time before 2000: it takes microseconds since 1970, so "
            "multiply seconds by 1000000",
            call, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    return time_us;
}

static void message_check_size(lua_State *L, const char *call,
                               const struct outbox_message *message) {
    size_t bytes =
        message->topic.len + message->key.len + message->value.len + message->headers.len;
    if (bytes > OUTBOX_MESSAGE_MAX_BYTES) {
        luaL_error(L,
                   "%s: topic, key, value and headers have %d bytes together, more than the %d "
                   "that the outbox holds",
                   call, (int)bytes, OUTBOX_MESSAGE_MAX_BYTES);
    }
}

void message_read(lua_State *L, int at, const char *call, const char *source, struct arena *arena,
                  struct outbox_message *message) {
    static const char *const fields[] = {"topic", "key", "value", "identity", "at", "headers"};
    int top = lua_gettop(L);
    luaL_checkstack(L, 10, call);
    lua_check_table(L, at, call, "the message");
    lua_check_fields(L, at, call, fields, sizeof fields / sizeof *fields);
    struct outbox_message read = {
        .topic = message_topic(L, at, call),
        .key = message_text(L, at, call, "key", OUTBOX_KEY_MAX_BYTES),
        .identity = message_text(L, at, call, "identity", OUTBOX_IDENTITY_MAX_BYTES),
        .value = message_value(L, at, call),
        .fact_at_us = message_time(L, at, call),
        .source = slice_of(source),
        .scripts = slice_of(script_generation_hash(sandbox_instance(L)->generation)),
    };
    lua_getfield(L, at, "headers");
    if (!lua_isnil(L, -1)) {
        read.headers = message_headers(L, call);
    }
    message_check_size(L, call, &read);
    struct slice *const texts[] = {&read.topic, &read.key, &read.identity, &read.value,
                                   &read.headers};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = texts[i]->data ? arena_copy(arena, *texts[i]) : (struct slice){0};
    }
    *message = read;
    lua_settop(L, top);
}
