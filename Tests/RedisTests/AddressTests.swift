@testable import Redis
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        ("unix:/run/r.sock", RedisAddress(.unix(path: "/run/r.sock"))),
        ("unix:///run/r.sock", RedisAddress(.unix(path: "/run/r.sock"))),
        ("/run/r.sock", RedisAddress(.unix(path: "/run/r.sock"))),
        ("/run/u:p@/r.sock", RedisAddress(.unix(path: "/run/u:p@/r.sock"))),
        ("unix:/run/r.sock?db=7", RedisAddress(.unix(path: "/run/r.sock"), database: 7)),
        (
            "unix://u:p%40@/r@/r.sock?db=7",
            RedisAddress(.unix(path: "/r@/r.sock"), database: 7, login: .init(user: "u", password: "p@"))
        ),
        ("unix::p@/r.sock", RedisAddress(.unix(path: "/r.sock"), login: .init(user: nil, password: "p"))),
        ("redis://host", RedisAddress(.tcp(host: "host", port: 6379))),
        ("redis://host:1/2", RedisAddress(.tcp(host: "host", port: 1), database: 2)),
        ("redis://[::1]:99/", RedisAddress(.tcp(host: "::1", port: 99))),
        ("redis://:p@h", RedisAddress(.tcp(host: "h", port: 6379), login: .init(user: nil, password: "p"))),
        ("redis://u:p%40%2F:@h", RedisAddress(.tcp(host: "h", port: 6379), login: .init(user: "u", password: "p@/:"))),
        ("redis://:p?b@h", RedisAddress(.tcp(host: "h", port: 6379), login: .init(user: nil, password: "p?b"))),
        ("rediss://h:1/2", RedisAddress(.tcp(host: "h", port: 1), database: 2, tls: .init())),
        (
            "rediss://h?cacert=/a%20b&cert=/c@d&key=/e&servername=n&replicas=2",
            RedisAddress(
                .tcp(host: "h", port: 6379),
                tls: .init(authorities: "/a b", certificate: "/c@d", key: "/e", serverName: "n"), replicas: 2)
        ),
        (
            "redis+sentinel://u:p@a,[::1]:5/my%2Fname/3?sentinel-password=q",
            RedisAddress(
                .sentinel([.init(host: "a", port: 26379), .init(host: "::1", port: 5)], primary: "my/name"),
                database: 3,
                login: .init(user: "u", password: "p"), sentinelLogin: .init(user: nil, password: "q"))
        ),
        (
            "rediss+cluster://a:1,b",
            RedisAddress(.cluster([.init(host: "a", port: 1), .init(host: "b", port: 6379)]), tls: .init())
        ),
    ])
    func `Every form of address is read`(text: String, address: RedisAddress) throws {
        #expect(try RedisAddress(parsing: text) == address)
    }

    @Test(arguments: [
        "", "host:6379", "http://hunter2", "rediss://u:hunter2@h:0", "unix:relative/hunter2", "unix:hunter2@/a",
        "unix://u:hunter2%zz@/a", "unix://u:hunter2@a", "unix:/a?x=hunter2",
        "unix:/a?db=hunter2", "redis://u:hunter2@", "redis://hunter2@h", "redis://u:hunter2@h:0",
        "redis://u:hunter2@h:70000", "redis://u:hunter2@h/x", "redis://u:hunter2%zz@h", "redis://u:hunter2@[::1]x",
        "/a\nhunter2", "rediss://:hunter2@h?cert=/c", "redis://:hunter2@h?cacert=/c",
        "rediss://h?sentinel-password=hunter2",
        "redis+sentinel://h?replicas=hunter2", "redis+sentinel://:hunter2@h", "redis+sentinel://:hunter2@h,/n",
        "redis+cluster://:hunter2@h/1", "redis+other://:hunter2@h", "redis://h?replicas=hunter2",
        "redis://h?replicas=-1",
        "redis+sentinel://h/n?sentinel-user=hunter2", "redis://h?replicas=1&replicas=1", "redis://:a?word=hunter2@h",
    ])
    func `An invalid address is refused without repeating it`(text: String) {
        let error = #expect(throws: RedisError.self) { try RedisAddress(parsing: text) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func `A description never shows the password`() throws {
        for (text, shown) in [
            ("redis://app:hunter2@[::1]:99/4", "redis://app@[::1]:99/4"),
            ("unix://app:hunter2@/run/r.sock?db=2", "unix://app@/run/r.sock?db=2"), ("unix://:hunter2@/r", "unix:/r"),
            ("rediss://app:hunter2@h?servername=n", "rediss://app@h:6379"),
            ("redis+sentinel://:hunter2@a,b/n/2?sentinel-password=hunter2", "redis+sentinel://a:26379,b:26379/n/2"),
            ("rediss+cluster://:hunter2@a,[::1]:3", "rediss+cluster://a:6379,[::1]:3"),
        ] {
            let address = try RedisAddress(parsing: text)
            #expect("\(address)" == shown)
            var dumped = ""
            dump(address, to: &dumped)
            #expect(!(dumped + String(reflecting: address)).contains("hunter2"))
        }
    }

    @Test func `A socket path longer than the system's limit is refused`() throws {
        let longest = "/" + String(repeating: "p", count: 106)
        #expect(try RedisAddress(parsing: longest) == RedisAddress(.unix(path: longest)))
        let error = #expect(throws: RedisError.self) { try RedisAddress(parsing: longest + "p") }
        #expect(error?.message.contains("108 bytes") == true)
    }
}
