/* redis_replies: objects in the arena equal those that hiredis makes on the heap. */
#include "bindings/redis_replies.h"

#include "test.h"

static struct arena *arena;

static const char stream[] =
    "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n*-1\r\n*0\r\n"
    "*5\r\n$-1\r\n$1\r\nx\r\n:7\r\n*3\r\n+fine\r\n$-1\r\n*1\r\n$2\r\nyz\r\n-bad\r\n"
    "*2\r\n$-1\r\n$-1\r\n";
#define REPLIES 10

static void check_equal(const redisReply *got, const redisReply *want) {
    CHECK_INT(got->type, want->type);
    CHECK_INT(got->integer, want->integer);
    CHECK_INT(got->len, want->len);
    CHECK_INT(got->elements, want->elements);
    CHECK((got->str != NULL) == (want->str != NULL));
    if (got->str && want->str) {
        CHECK(memcmp(got->str, want->str, want->len + 1) == 0);
    }
    for (size_t i = 0; i < want->elements && i < got->elements; i++) {
        check_equal(got->element[i], want->element[i]);
    }
}

/* Feeds both readers with the next bytes and compares the replies that are whole. */
static size_t feed(redisReader *fast, redisReader *heap, const char *bytes, size_t len) {
    size_t count = 0;
    CHECK(redisReaderFeed(fast, bytes, len) == REDIS_OK);
    CHECK(redisReaderFeed(heap, bytes, len) == REDIS_OK);
    for (;;) {
        void *got = NULL, *want = NULL;
        CHECK(redisReaderGetReply(fast, &got) == REDIS_OK);
        CHECK(redisReaderGetReply(heap, &want) == REDIS_OK);
        CHECK((got != NULL) == (want != NULL));
        if (!got || !want) {
            return count;
        }
        check_equal(got, want);
        freeReplyObject(want);
        arena_reset(arena);
        count++;
    }
}

static void every_kind_is_read_however_it_arrives(void) {
    size_t len = sizeof stream - 1;
    for (size_t step = 1; step <= len; step++) {
        redisReader *fast = redisReaderCreate(), *heap = redisReaderCreate();
        size_t count = 0;
        redis_replies_use_arena(fast, arena);
        for (size_t at = 0; at < len; at += step) {
            count += feed(fast, heap, stream + at, len - at < step ? len - at : step);
        }
        CHECK_INT(count, REPLIES);
        redisReaderFree(fast);
        redisReaderFree(heap);
    }
}

static void a_reader_can_end_within_a_reply(void) {
    for (size_t len = 0; len < sizeof stream - 1; len++) {
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;
        redis_replies_use_arena(reader, arena);
        CHECK(redisReaderFeed(reader, stream, len) == REDIS_OK);
        do {
            CHECK(redisReaderGetReply(reader, &reply) == REDIS_OK);
        } while (reply);
        redisReaderFree(reader);
        arena_reset(arena);
    }
}

static void a_damaged_length_is_an_error(void) {
    static const char *const damaged[] = {"*2147483647\r\n", "*20000000\r\n$1\r\nx\r\n", "?\r\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        redisReader *reader = redisReaderCreate();
        void *reply = NULL;
        redis_replies_use_arena(reader, arena);
        CHECK(redisReaderFeed(reader, damaged[i], strlen(damaged[i])) == REDIS_OK);
        CHECK(redisReaderGetReply(reader, &reply) == REDIS_ERR && !reply && *reader->errstr);
        redisReaderFree(reader);
        arena_reset(arena);
    }
}

static const struct test_case cases[] = {
    {"every kind is read, however it arrives", every_kind_is_read_however_it_arrives},
    {"a reader can end within a reply", a_reader_can_end_within_a_reply},
    {"a damaged length is an error", a_damaged_length_is_an_error},
};

int main(int argc, char **argv) {
    arena = arena_create(256);
    int status = test_run(cases, sizeof cases / sizeof *cases, argc, argv);
    arena_destroy(arena);
    return status;
}
