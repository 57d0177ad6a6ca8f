/* arena: aligned memory until the reset; chunks are kept, oversized ones freed. */
#include "base/arena.h"
#include "test.h"

static void memory_is_aligned_and_does_not_overlap(void) {
    struct arena *arena = arena_create(256);
    char *held[200];
    for (size_t i = 0; i < 200; i++) {
        held[i] = arena_alloc(arena, i);
        CHECK_INT((uintptr_t)held[i] % 16, 0);
        memset(held[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t b = 0; b < i; b++) {
            CHECK((unsigned char)held[i][b] == i);
        }
    }
    arena_destroy(arena);
}

static void a_reset_keeps_chunks_and_frees_oversized_ones(void) {
    struct arena *arena = arena_create(1024);
    for (int i = 0; i < 20; i++) {
        arena_alloc(arena, 500);
    }
    size_t small = arena_bytes(arena);
    arena_alloc(arena, 100000);
    arena_alloc(arena, 500);
    arena_alloc(arena, 100000);
    CHECK(arena_bytes(arena) >= small + 200000);
    arena_reset(arena);
    CHECK(arena_bytes(arena) <= small + 1024);
    size_t kept = arena_bytes(arena);
    for (int i = 0; i < 20; i++) {
        memset(arena_alloc(arena, 500), 1, 500);
    }
    CHECK_INT(arena_bytes(arena), kept);
    arena_destroy(arena);
}

static void copies_end_in_a_nul_and_null_stays_null(void) {
    struct arena *arena = arena_create(64);
    struct slice copy = arena_copy(arena, (struct slice){"abcdef", 3});
    CHECK_TEXT(copy.data, "abc");
    CHECK_INT(copy.len, 3);
    CHECK(arena_copy(arena, (struct slice){0}).data == NULL);
    CHECK(arena_copy(arena, (struct slice){"", 0}).data != NULL);
    arena_destroy(arena);
}

static void destroying_null_is_safe(void) {
    arena_destroy(NULL);
}

static const struct test_case cases[] = {
    {"memory is aligned and does not overlap", memory_is_aligned_and_does_not_overlap},
    {"a reset keeps chunks and frees oversized ones",
     a_reset_keeps_chunks_and_frees_oversized_ones},
    {"copies end in a NUL and NULL stays NULL", copies_end_in_a_nul_and_null_stays_null},
    {"destroying NULL is safe", destroying_null_is_safe},
};

TEST_MAIN(cases)
