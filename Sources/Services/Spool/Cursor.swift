import Glibc
import Synchronization

/// Stores the reader's position in a file that is mapped into memory: a stored value survives the process, however
/// that ends.
///
/// Shape of the file, little-endian: `tgspool1`, two positions of segment and offset (8 bytes each), the bytes held
/// (8). The position with the larger segment counts; with two of them, moving to a segment is one store.
final class Cursor: @unchecked Sendable {
    private static let magic = Array("tgspool1".utf8)
    private static let bytes = 4096
    private static let placesAt = 8
    private static let heldAt = 40

    private let memory: UnsafeMutableRawPointer
    /// Is true if the file held something else, so that the reader's position is unknown.
    let isLost: Bool

    /// Opens the file, and makes it when it does not exist.
    ///
    /// - Parameter first: the segment at which a new cursor starts.
    init(path: String, first: UInt64) throws(SpoolError) {
        let file = try OpenFile(path, O_RDWR | O_CREAT)
        let isNew = try file.size() == 0
        try file.truncate(to: Int64(Cursor.bytes))
        guard let memory = mmap(nil, Cursor.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0),
            memory != MAP_FAILED
        else { throw SpoolError.localIO("unable to map \(path)") }
        self.memory = memory
        let found = UnsafeRawBufferPointer(start: memory, count: Cursor.magic.count)
        isLost = !isNew && !found.elementsEqual(Cursor.magic)
        if isNew || isLost {
            go(to: first, offset: 0)
            held = 0
            memory.copyMemory(from: Cursor.magic, byteCount: Cursor.magic.count)
        }
    }

    deinit { munmap(memory, Cursor.bytes) }

    private func place(_ segment: UInt64) -> UnsafeMutableRawPointer {
        memory + Cursor.placesAt + Int(segment % 2) * 16
    }

    /// The number of the segment that is being read.
    var segment: UInt64 {
        max(
            memory.load(fromByteOffset: Cursor.placesAt, as: UInt64.self),
            memory.load(fromByteOffset: Cursor.placesAt + 16, as: UInt64.self))
    }

    /// The offset in that segment. A system call may advance it through this pointer.
    var offset: UnsafeMutablePointer<Int64> { (place(segment) + 8).assumingMemoryBound(to: Int64.self) }

    /// Moves to a later segment, in one store.
    func advance(to segment: UInt64) {
        place(segment).storeBytes(of: 0, toByteOffset: 8, as: Int64.self)
        place(segment).storeBytes(of: segment, as: UInt64.self)
    }

    /// Moves to any position, in several stores. Call it only while an end of the process between them does no harm.
    func go(to segment: UInt64, offset: Int64) {
        place(segment + 1).storeBytes(of: 0, as: UInt64.self)
        place(segment).storeBytes(of: offset, toByteOffset: 8, as: Int64.self)
        place(segment).storeBytes(of: segment, as: UInt64.self)
    }

    /// The number of the last bytes before the cursor that are in a pipe without a reader. They are lost with the
    /// pipe.
    var held: Int64 {
        get { memory.load(fromByteOffset: Cursor.heldAt, as: Int64.self) }
        set { memory.storeBytes(of: newValue, toByteOffset: Cursor.heldAt, as: Int64.self) }
    }
}
