#include "file_stamp.h"

#include <sys/stat.h>

#include "hash.h"

uint64_t file_stamp(const char *path, uint64_t before) {
    struct stat about = {0};
    if (stat(path, &about) != 0) {
        return before * 31;
    }
    const uint64_t facts[] = {
        before,
        (uint64_t)about.st_dev,
        (uint64_t)about.st_ino,
        (uint64_t)about.st_size,
        (uint64_t)about.st_mtim.tv_sec,
        (uint64_t)about.st_mtim.tv_nsec,
        (uint64_t)about.st_ctim.tv_sec,
        (uint64_t)about.st_ctim.tv_nsec,
    };
    return hash64((struct slice){(const char *)facts, sizeof facts});
}
