import CStart

/// Names the release build, and gives back the memory that only the start of a program needs.
package enum ProgramStart {
    /// The commit that a release build was made from, in a short form; an empty text if it is unknown.
    package static var commit: String { String(cString: tgp_commit()) }

    /// Makes this process's memory and environment unreadable for other processes of the same user, and keeps its memory out of core
    /// files. Programs that it starts are not affected.
    package static func hideProcess() { tgp_hide_process() }

    /// Unmaps the code and constants, of the program and its libraries, that have been used up to now.
    ///
    /// It is called when a phase ends whose code is not needed again, such as the start. Code that is needed again is mapped again from
    /// the file cache.
    package static func releasePages() { tgp_release_start_pages() }
}
