package import Glibc

extension stat {
    /// The time of the last change of the file's content, in nanoseconds since 1970.
    package var modifiedNanoseconds: Int64 { withUnsafePointer(to: st_mtim) { SystemClocks.nanoseconds($0) } }

    /// The time of the last change of the file's content or attributes, in nanoseconds since 1970.
    package var changedNanoseconds: Int64 { withUnsafePointer(to: st_ctim) { SystemClocks.nanoseconds($0) } }
}
