/* hash: values are stored (content keys) and shared between processes (surrogate keys), so they
 * must never change. */
#include "base/hash.h"
#include "test.h"

static void values_never_change(void) {
    CHECK(hash64((struct slice){0}) == 0x2d06800538d394c2ULL);
    CHECK(hash64(slice_of("batch-1")) == hash64((struct slice){"batch-12", 7}));
    static const uint8_t empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                      0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    uint8_t got[16];
    hash128((struct slice){"", 0}, got);
    CHECK(memcmp(got, empty, 16) == 0);
}

static void seeds_give_different_values(void) {
    CHECK(hash64_seeded(slice_of("a"), 1) != hash64_seeded(slice_of("a"), 2));
    CHECK(hash64_seeded(slice_of("a"), 1) == hash64_seeded(slice_of("a"), 1));
}

static const struct test_case cases[] = {
    {"values never change", values_never_change},
    {"seeds give different values", seeds_give_different_values},
};

TEST_MAIN(cases)
