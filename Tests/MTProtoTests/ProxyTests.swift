import System
import TestSupport
import Testing

@testable import MTProto

@Suite struct ProxyTests {
    @Test func `Proxy links are read`() throws {
        let secret = try ProxySecret("00112233445566778899aabbccddeeff")
        let padded = try ProxySecret("dd00112233445566778899aabbccddeeff")
        let server = ServerAddress("proxy.example", 443)
        let links: [(String, Proxy)] = [
            (
                "tg://proxy?server=proxy.example&port=443&secret=00112233445566778899aabbccddeeff",
                .mtproxy(server, secret)
            ),
            (
                "https://t.me/proxy?secret=dd00112233445566778899aabbccddeeff&server=proxy.example&port=443",
                .mtproxy(server, padded)
            ),
            ("tg://proxy?server=proxy.example&port=443&secret=ABEiM0RVZneImaq7zN3u_w", .mtproxy(server, secret)),
            ("tg://proxy?server=proxy.example&port=443&secret=3QARIjNEVWZ3iJmqu8zd7v8%3D", .mtproxy(server, padded)),
            ("tg://socks?server=proxy.example&port=443&user=a&pass=b%20c", .socks5(server, user: "a", password: "b c")),
            ("socks5://proxy.example:443", .socks5(server, user: nil, password: nil)),
            ("socks5://a:p%40ss@proxy.example:443", .socks5(server, user: "a", password: "p@ss")),
            ("socks5://[::1]:9", .socks5(ServerAddress("::1", 9), user: nil, password: nil)),
        ]
        for (link, proxy) in links { #expect(try Proxy(link: link) == proxy, "\(link)") }
    }

    @Test(arguments: [
        "", "tg://proxy", "tg://proxy?server=a&port=443",
        "tg://proxy?server=a&port=0&secret=00112233445566778899aabbccddeeff",
        "tg://proxy?server=a&port=443&secret=0011", "http://proxy.example", "socks5://a", "socks5://a:99999",
        "tg://proxy?server=a&port=443&secret=ee00112233445566778899aabbccddeeff6578616d706c65",
    ]) func `Invalid proxy links are refused without repeating their secrets`(_ link: String) throws {
        let failure = #expect(throws: MTProtoError.self) { try Proxy(link: link) }
        #expect(failure?.exitStatus.rawValue == 78)
        #expect(failure?.message.contains("0011") == false)
    }

    @Test func `A fake-TLS secret is refused with the reason`() throws {
        let failure = #expect(throws: MTProtoError.self) {
            try ProxySecret("ee00112233445566778899aabbccddeeff6578616d706c65")
        }
        #expect(failure?.message.contains("TLS") == true)
    }

    @Test func `A SOCKS5 proxy is used by name, by address and with a password`() throws {
        var plain = Socks5(to: ServerAddress("a.example", 443), user: nil, password: nil)
        #expect(plain.opening == [5, 1, 0])
        #expect(try plain.receive([5]) == .wait)
        #expect(try plain.receive([0]) == .send([5, 1, 0, 3, 9] + Array("a.example".utf8) + [1, 187]))
        #expect(try plain.receive([5, 0, 0, 1, 0, 0, 0, 0, 0]) == .wait)
        #expect(try plain.receive([0, 42]) == .done([42]))
        var other = Socks5(to: ServerAddress("10.1.2.3", 80), user: "u", password: "p")
        #expect(other.opening == [5, 2, 0, 2])
        #expect(try other.receive([5, 2]) == .send([1, 1, 117, 1, 112]))
        #expect(try other.receive([1, 0]) == .send([5, 1, 0, 1, 10, 1, 2, 3, 0, 80]))
        #expect(throws: MTProtoError.self) { try other.receive([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]) }
        var six = Socks5(to: ServerAddress("::1", 80), user: nil, password: nil)
        #expect(try six.receive([5, 0]) == .send([5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 80]))
    }

    @Test func `Telegram is reached through a SOCKS5 proxy only with the right password`() async throws {
        let emulator = try await MTProtoEmulator()
        let relay = try PythonServer(script: "socks.py", [])
        var settings = try Talk.settings(emulator)
        settings.proxy = try Proxy(link: relay.url.replacing("socks5://", with: "socks5://someone:let-me-out@"))
        #expect(try await Talk.over(settings) { try await $0.askForDataCenter() } == 2)
        settings.proxy = try Proxy(link: relay.url.replacing("socks5://", with: "socks5://someone:wrong@"))
        let failure = try await Talk.over(settings) { talk in
            await #expect(throws: MTProtoError.self) {
                try await talk.connection.call([0, 0, 0, 0], within: .seconds(2))
            }
        }
        #expect(failure?.message.contains("password") == true)
        #expect(failure?.message.contains("wrong") == false)
    }
}
