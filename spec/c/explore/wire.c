/* wire: see wire.h. What is taken is moved out at the front, so that equal contents are equal
 * bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static void append(char *bytes, int *len, int capacity, const void *more, size_t count) {
    if (*len + (int)count > capacity) {
        fputs("explore_cache: too much on the way: WIRE_BYTES\n", stderr);
        abort();
    }
    memcpy(bytes + *len, more, count);
    *len += (int)count;
}

static void append_number(char *bytes, int *len, int capacity, int number) {
    const char two[2] = {(char)(number & 255), (char)(number >> 8)};
    append(bytes, len, capacity, two, 2);
}

int wire_number(const char *bytes) {
    return (unsigned char)bytes[0] | (unsigned char)bytes[1] << 8;
}

static void value_start(struct value *value, char type) {
    append(value->bytes, &value->len, WIRE_BYTES, &type, 1);
}

void value_integer(struct value *value, int64_t integer) {
    value_start(value, ':');
    append(value->bytes, &value->len, WIRE_BYTES, &integer, sizeof integer);
}

void value_text(struct value *value, char type, struct slice text) {
    value_start(value, type);
    append_number(value->bytes, &value->len, WIRE_BYTES, (int)text.len);
    append(value->bytes, &value->len, WIRE_BYTES, text.data, text.len);
}

void value_nil(struct value *value) {
    value_start(value, '_');
}

void value_array(struct value *value, int count) {
    value_start(value, '*');
    append_number(value->bytes, &value->len, WIRE_BYTES, count);
}

void wire_put(struct wire *wire, const char *bytes, int len) {
    append(wire->bytes, &wire->len, WIRE_BYTES, bytes, (size_t)len);
}

void wire_put_counted(struct wire *wire, const char *bytes, int len) {
    append_number(wire->bytes, &wire->len, WIRE_BYTES, len);
    wire_put(wire, bytes, len);
}

void wire_drop_first(struct wire *wire) {
    int gone = 2 + wire_number(wire->bytes);
    wire->len -= gone;
    memmove(wire->bytes, wire->bytes + gone, (size_t)wire->len);
}

void wire_read_command(const struct wire *wire, struct command *command) {
    const char *at = wire->bytes + 2;
    command->count = (unsigned char)*at++;
    for (int i = 0; i < command->count; i++) {
        int len = wire_number(at);
        at += 2;
        if (len == 0xFFFF) {
            size_t text_len;
            const char *text = script_text(*at++, &text_len);
            command->args[i] = (struct slice){text, text_len};
        } else {
            command->args[i] = (struct slice){at, (size_t)len};
            at += len;
        }
    }
    memcpy(&command->speaks_of, at, sizeof command->speaks_of);
}
