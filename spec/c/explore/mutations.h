/* mutations: guards removed one at a time, to show that the search needs each.
 * MUTATION(name, ALONE or COVERED, what is removed). Without a COVERED guard another one still
 * prevents every outdated response: the search finds none. */
MUTATION(NO_RECENT_CHECK, ALONE,
         "the store script does not check its tags against recent invalidations")
MUTATION(NO_NUMBER_CHECK, COVERED, "the store script stores after the number decreased")
MUTATION(NO_FLOOR_AT_STORE, COVERED, "the store script ignores the floor")
MUTATION(NO_GUARD_AT_STORE, ALONE, "the store script always stores")
MUTATION(NO_FLOOR_AT_READ, ALONE, "a reader does not compare a response in Redis with the floor")
MUTATION(NO_DELETION, ALONE, "an announcement deletes nothing in Redis")
MUTATION(NO_RECENT, COVERED, "an announcement is not added to the recent invalidations")
MUTATION(NO_PUBLISH, ALONE, "an announcement is not published")
MUTATION(NO_PUBLISHED_DROP, ALONE, "a drop of all is not published")
MUTATION(NO_FLOOR_AFTER_LOSS, COVERED, "an announcement to an empty Redis sets no floor")
MUTATION(NO_CLOCK, ALONE, "the number counts from one instead of using the clock")
MUTATION(NO_RESTART_CHECK, ALONE, "a subscriber does not check for a restarted server")
MUTATION(NO_RUN, ALONE, "the greeting does not compare run ids")
MUTATION(NO_BYPASS, ALONE, "a lost subscription does not bypass the process level")
MUTATION(NO_RESET, ALONE, "a change of the subscription does not empty the process level")
MUTATION(NO_DOUBT, ALONE, "a lost announcement does not bypass the cache")
MUTATION(NO_OWN_INVALIDATION, ALONE, "a commit does not invalidate in its own process")
MUTATION(NO_RECEPTION, ALONE, "a received announcement invalidates nothing")
MUTATION(NO_STALENESS, COVERED,
         "a response is stored although one of its tags was invalidated during its compute")
MUTATION(ANNOUNCED_BEFORE_COMMIT, ALONE, "the announcement is sent before the commit")
MUTATION(NO_GAP, ALONE, "an announcement is recorded although an earlier one is missing")
MUTATION(NO_CHAIN, ALONE, "counts are recorded although the announcement failed")
MUTATION(NO_AUDIT, ALONE, "auditors do not compare counts")
MUTATION(NO_COUNT_OF_COMMIT, ALONE,
         "an auditor announces what the last commit touched for all that were not announced")
MUTATION(NO_DOUBT_OF_AUDITOR, COVERED, "an auditor without a reply does not bypass the cache")
MUTATION(NO_PENDING, ALONE, "a process reads from Redis what its own unannounced commit outdated")
