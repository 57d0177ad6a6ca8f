/* redis_memory: see redis_memory.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_memory.h"

static int compare(const char *one, size_t one_len, struct slice other) {
    size_t least = one_len < other.len ? one_len : other.len;
    int order = memcmp(one, other.data, least);
    return order ? order : (int)one_len - (int)other.len;
}

static int first_row(const struct memory *memory, struct slice key) {
    int at = 0;
    while (at < memory->count && compare(memory->rows[at].key, memory->rows[at].key_len, key) < 0) {
        at++;
    }
    return at;
}

int memory_rows(const struct memory *memory, struct slice key, int *first) {
    int at = *first = first_row(memory, key);
    while (at < memory->count &&
           compare(memory->rows[at].key, memory->rows[at].key_len, key) == 0) {
        at++;
    }
    return at - *first;
}

void memory_delete_row(struct memory *memory, int row) {
    memory->count--;
    memmove(memory->rows + row, memory->rows + row + 1,
            (size_t)(memory->count - row) * sizeof *memory->rows);
}

static struct row *insert(struct memory *memory, int at, struct slice key, struct slice member) {
    struct row *row = &memory->rows[at];
    if (memory->count == ROWS || key.len > sizeof row->key || member.len > sizeof row->member) {
        fputs("explore_cache: the model of Redis is too small: ROWS, struct row\n", stderr);
        abort();
    }
    memmove(row + 1, row, (size_t)(memory->count - at) * sizeof *row);
    memory->count++;
    memset(row, 0, sizeof *row);
    row->key_len = (uint8_t)key.len;
    row->member_len = (uint8_t)member.len;
    memcpy(row->key, key.data, key.len);
    memcpy(row->member, member.data, member.len);
    return row;
}

struct slice memory_get(const struct memory *memory, struct slice key) {
    int first, count = memory_rows(memory, key, &first);
    const struct row *row = &memory->rows[first];
    return count == 0 ? (struct slice){0} : (struct slice){row->member, row->member_len};
}

bool memory_delete(struct memory *memory, struct slice key) {
    int first, count = memory_rows(memory, key, &first);
    for (int i = 0; i < count; i++) {
        memory_delete_row(memory, first);
    }
    return count > 0;
}

void memory_set(struct memory *memory, struct slice key, struct slice value) {
    memory_delete(memory, key);
    insert(memory, first_row(memory, key), key, value);
}

void memory_add(struct memory *memory, struct slice key, struct slice member, double score) {
    int first, count = memory_rows(memory, key, &first), at = first;
    while (at < first + count &&
           compare(memory->rows[at].member, memory->rows[at].member_len, member) < 0) {
        at++;
    }
    bool known = at < first + count &&
                 compare(memory->rows[at].member, memory->rows[at].member_len, member) == 0;
    struct row *row = known ? &memory->rows[at] : insert(memory, at, key, member);
    row->score = score;
}
