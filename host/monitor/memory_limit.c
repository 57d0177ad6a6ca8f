#include "memory_limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GROUP_CAP 4096

/* The group of version 2: the line "0::/path". */
static bool memory_limit_read_group(const char *membership, char group[GROUP_CAP]) {
    char line[GROUP_CAP];
    bool found = false;
    FILE *file = fopen(membership, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strncmp(line, "0::/", strlen("0::/")) == 0;
    }
    if (file) {
        fclose(file);
    }
    if (found) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(group, GROUP_CAP, "%s", line + strlen("0::"));
    }
    return found;
}

/* 0: "max", or no such file. */
static double memory_limit_of_group(const char *root, const char *group) {
    char path[2 * GROUP_CAP];
    double limit = 0;
    snprintf(path, sizeof path, "%s%s/memory.max", root, group);
    FILE *file = fopen(path, "re");
    if (file) {
        limit = fscanf(file, "%lf", &limit) == 1 ? limit : 0;
        fclose(file);
    }
    return limit;
}

double memory_limit_bytes(const char *membership, const char *root) {
    char group[GROUP_CAP];
    double least = 0;
    if (!memory_limit_read_group(membership, group)) {
        return 0;
    }
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        double limit = memory_limit_of_group(root, group);
        least = limit > 0 && (least == 0 || limit < least) ? limit : least;
    }
    return least;
}
