/* memory_limit: the limit of nested control groups. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/memory_limit.h"
#include "files.h"

static char root[] = "/tmp/test_memory_limit.XXXXXX";

static void empty_folder(void) {
    static const char *const made[] = {"membership", "memory.max", "a/memory.max",
                                       "a/b/memory.max"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        unlink(made[i]);
    }
}

static void remove_folder(void) {
    empty_folder();
    rmdir("a/b");
    rmdir("a");
    rmdir(root);
}

static void enter_folder(void) {
    if (root[sizeof root - 2] == 'X') {
        CHECK(mkdtemp(root) != NULL && chdir(root) == 0);
        CHECK(mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0);
        CHECK(atexit(remove_folder) == 0);
    }
    empty_folder();
}

static void the_least_limit_of_the_groups_counts(void) {
    enter_folder();
    write_path("membership", "4:memory:/old\n0::/a/b\n");
    write_path("a/memory.max", "1048576\n");
    write_path("a/b/memory.max", "2097152\n");
    CHECK(memory_limit_bytes("membership", ".") == 1048576);
    write_path("a/b/memory.max", "4096\n");
    CHECK(memory_limit_bytes("membership", ".") == 4096);
}

static void max_is_no_limit(void) {
    enter_folder();
    write_path("membership", "0::/a/b\n");
    write_path("a/memory.max", "max\n");
    write_path("a/b/memory.max", "max\n");
    CHECK(memory_limit_bytes("membership", ".") == 0);
}

static void a_container_sees_its_group_as_the_root(void) {
    enter_folder();
    write_path("membership", "0::/\n");
    write_path("memory.max", "8192\n");
    CHECK(memory_limit_bytes("membership", ".") == 8192);
}

static void without_control_groups_there_is_no_limit(void) {
    enter_folder();
    write_path("membership", "4:memory:/old\n");
    CHECK(memory_limit_bytes("membership", ".") == 0);
    CHECK(memory_limit_bytes("no-such-file", ".") == 0);
}

static const struct test_case cases[] = {
    {"the least limit of the groups counts", the_least_limit_of_the_groups_counts},
    {"max is no limit", max_is_no_limit},
    {"a container sees its group as the root", a_container_sees_its_group_as_the_root},
    {"without control groups there is no limit", without_control_groups_there_is_no_limit},
};

TEST_MAIN(cases)
