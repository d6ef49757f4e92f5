import Glibc

/// The write-ahead log of a database whose connection does not wait for the disk at each commit (`synchronous=NORMAL`).
///
/// A commit survives a failure of the power once `sync` has returned after it. That is what `synchronous=FULL` does within the commit;
/// on a thread of its own, one wait for the disk serves all commits before it, while the next ones are made.
package final class SQLiteLog: Sendable {
    private let descriptor: Int32

    /// Opens the log of a database that is in WAL mode, and from which something has been read.
    ///
    /// SQLite names the log after the database's file, without symbolic links. Its locks are on other files, so that they do not
    /// end when this descriptor is closed.
    package init(of database: SQLiteDatabase) throws(SQLiteError) {
        var path = ""
        try database.run("PRAGMA database_list") { row in if row.text(1) == "main" { path = row.text(2) } }
        descriptor = open("\(path)-wal", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SQLiteError(.cannotOpen, String(cString: strerror(errno))) }
    }

    deinit { close(descriptor) }

    /// Waits until all that was committed before is on the disk. After a failure, nobody knows what is on it: do not try again.
    package func sync() throws(SQLiteError) {
        while fdatasync(descriptor) != 0 {
            guard errno == EINTR else { throw SQLiteError(.inputOutput, String(cString: strerror(errno))) }
        }
    }
}
