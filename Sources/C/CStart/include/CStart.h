#pragma once

/// Returns the commit that a release build was made from, in a short form; an empty text if it is unknown.
const char *tgp_commit(void);

/// Unmaps the pages of code and constants, of the program and its libraries, that the start has touched.
///
/// A start reads much of the program once: the Swift runtime searches all protocol conformances, and the argument parser runs. A
/// stage that waits for events needs little of it. Pages that are needed again are mapped again from the file cache. Only
/// segments that cannot be written are affected, so no data is lost.
void tgp_release_start_pages(void);

/// Makes this process's memory and environment unreadable for other processes of the same user, and keeps its memory out of
/// core files. Programs that it starts are not affected.
void tgp_hide_process(void);
