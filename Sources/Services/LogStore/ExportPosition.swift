import Glibc
package import JSON
import SQLite
import System

/// Remembers how far an export has got in each segment of a store, in a file beside the segments.
package final class ExportPosition {
    private let folder: StoreFolder
    private let path: String
    private var positions: [String: Int64] = [:]
    private var pending: [String: Int64] = [:]

    /// - Parameter name: the name of what is exported.
    /// - Throws: `LogStoreError`.
    package init(_ folder: StoreFolder, name: String) throws {
        self.folder = folder
        path = "\(folder.path)/export-\(name).json"
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let object = readAll(descriptor, atMost: 1 << 20).flatMap { try? JSON(parsing: $0) }?.object
        guard let object else {
            throw LogStoreError(
                .inputOutput, "\(path) is damaged: remove it to export everything again that the store has")
        }
        for member in object.members { if let id = member.value.int { positions[member.key] = id } }
    }

    /// Returns the next lines that are not exported yet, and the number of them that were looked at.
    ///
    /// - Parameter spans: whether spans are wanted, or lines of the log.
    package func next(_ limit: Int, spans: Bool) throws -> [JSONObject] {
        let files = folder.files()
        let names = Set(files.map(\.name))
        positions = positions.filter { names.contains($0.key) }
        pending = [:]
        for file in files {
            let database: SQLiteDatabase
            do throws(SQLiteError) { database = try SQLiteDatabase(file.path, .readOnly) } catch {
                if error.code == .cannotOpen { continue }
                throw error
            }
            guard try Segment.version(of: database) > 0 else { continue }
            let position = positions[file.name] ?? 0
            var lines: [JSONObject] = []
            var last = position
            let sign = spans ? "<" : ">="
            try database.run(
                "SELECT id, line FROM records WHERE id > ? AND level \(sign) 0 ORDER BY id LIMIT ?", .integer(position),
                .integer(Int64(limit))
            ) { row in
                last = row.integer(0)
                if let object = (try? JSON(parsing: row.blob(1)))?.object { lines.append(object) }
            }
            guard last > position else { continue }
            pending[file.name] = last
            return lines
        }
        return []
    }

    /// Is true if the last call of `next` has found something.
    package var hasPending: Bool { !pending.isEmpty }

    /// Remembers that what `next` returned is exported.
    package func advance() throws {
        positions.merge(pending) { $1 }
        pending = [:]
        let object = JSONObject(
            positions.sorted { $0.key < $1.key }.map { .init(key: $0.key, value: .integer($0.value)) })
        do {
            try AtomicFile.replace(path, with: JSON.object(object).bytes, mode: 0o600, durability: .process)
        } catch {
            throw LogStoreError(.inputOutput, "unable to write \(path): \(error)")
        }
    }
}
