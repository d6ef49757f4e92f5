import Redis
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        ("unix:/run/r.sock", RedisAddress.unix(path: "/run/r.sock", database: 0)),
        ("unix:///run/r.sock", .unix(path: "/run/r.sock", database: 0)),
        ("/run/r.sock", .unix(path: "/run/r.sock", database: 0)),
        ("unix:/run/r.sock?db=7", .unix(path: "/run/r.sock", database: 7)),
        ("redis://host", .tcp(host: "host", port: 6379, database: 0, user: nil, password: nil)),
        ("redis://host:1/2", .tcp(host: "host", port: 1, database: 2, user: nil, password: nil)),
        ("redis://[::1]:99/", .tcp(host: "::1", port: 99, database: 0, user: nil, password: nil)),
        ("redis://:p@h", .tcp(host: "h", port: 6379, database: 0, user: nil, password: "p")),
        ("redis://u:p%40%2F:@h", .tcp(host: "h", port: 6379, database: 0, user: "u", password: "p@/:")),
    ])
    func `Every form of address is read`(text: String, address: RedisAddress) throws {
        #expect(try RedisAddress(parsing: text) == address)
    }

    @Test(arguments: [
        "", "host:6379", "http://hunter2", "rediss://u:hunter2@h", "unix:relative/hunter2", "unix:/a?x=hunter2",
        "unix:/a?db=hunter2", "redis://u:hunter2@", "redis://hunter2@h", "redis://u:hunter2@h:0",
        "redis://u:hunter2@h:70000", "redis://u:hunter2@h/x", "redis://u:hunter2%zz@h", "redis://u:hunter2@[::1]x",
        "/a\nhunter2",
    ])
    func `An invalid address is refused without repeating it`(text: String) {
        let error = #expect(throws: RedisError.self) { try RedisAddress(parsing: text) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func `A description never shows the password`() throws {
        let address = try RedisAddress(parsing: "redis://app:hunter2@[::1]:99/4")
        #expect("\(address)" == "redis://app@[::1]:99/4")
        var dumped = ""
        dump(address, to: &dumped)
        #expect(!(dumped + String(reflecting: address)).contains("hunter2"))
    }

    @Test func `A socket path longer than the system's limit is refused`() throws {
        let longest = "/" + String(repeating: "p", count: 106)
        #expect(try RedisAddress(parsing: longest) == .unix(path: longest, database: 0))
        let error = #expect(throws: RedisError.self) { try RedisAddress(parsing: longest + "p") }
        #expect(error?.message.contains("108 bytes") == true)
    }
}
