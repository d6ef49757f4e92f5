import Glibc
import Testing

@testable import Stage

@Suite struct PiecesTests {
    /// Writes pieces into a pipe that takes only little at a time, and reads what comes out.
    @Test(arguments: [1, 3, 1024, 1025, 3000])
    func `All pieces are written in order however many are written at a time`(_ count: Int) throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        let lines = (0..<count).map { Array(String(repeating: "\($0)", count: 1 + $0 % 50).utf8) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, lines.joined().count), alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: Array(lines.joined()))
        var start = 0
        let list = lines.map { line in
            defer { start += line.count }
            return iovec(iov_base: memory.baseAddress.map { $0 + start }, iov_len: line.count)
        }
        var result: [UInt8] = []
        list.withUnsafeBufferPointer { buffer in
            var rest = Pieces(buffer)
            var block = [UInt8](repeating: 0, count: 777)
            func takeSome() -> Bool {
                let count = read(ends[0], &block, block.count)
                result += block.prefix(max(0, count))
                return count > 0
            }
            while !rest.isEmpty {
                rest.drop(max(0, rest.write(to: ends[1])))
                _ = takeSome()
            }
            while takeSome() {}
        }
        let isSame = result == Array(lines.joined())
        #expect(isSame)
    }
}
