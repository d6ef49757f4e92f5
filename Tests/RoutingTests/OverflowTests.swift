import Testing

@testable import Routing
@testable import ev_route

@Suite struct OverflowTests {
    @Test func `An overflow policy applies to all outputs or to one`() {
        #expect(OverflowOption(argument: "spool")?.target == nil)
        #expect(OverflowOption(argument: "spool")?.overflow == .spool)
        #expect(OverflowOption(argument: "exec:env A=b run=drop")?.target == "exec:env A=b run")
        #expect(OverflowOption(argument: "exec:env A=b run=drop")?.overflow == .drop)
        #expect(OverflowOption(argument: "run/a.fifo=wait") == nil && OverflowOption(argument: "") == nil)
    }

    @Test func `Each target has its own spool folder`() throws {
        func name(_ text: String) throws -> String { SpoolPlan.folderName(try Target(text)) }
        #expect(try name("run/media.fifo") == "run%2Fmedia.fifo")
        #expect(try name("queue:jobs") == "queue%3Ajobs")
        let long = String(repeating: "x", count: 1000)
        let names = try [long + "a", long + "b", "..", "../a", "a/b", "a%2Fb", "é"].map(name)
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.utf8.count <= 200 && !$0.hasPrefix(".") && !$0.contains("/") })
    }
}
