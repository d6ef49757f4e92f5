import ChatCommands
import Testing

@Suite struct WrittenNumberTests {
    @Test(arguments: [("1", 1), ("42", 42), (" 7\n", 7), ("۱۲", 12), ("٩", 9), ("０３", 3)])
    func `A small number is read in the digits of any script`(_ text: String, _ number: Int) {
        #expect(WrittenNumber.of(text) == number)
    }

    @Test(arguments: ["", "0", "00", "100", "-1", "1.", "½", "一", "Ⅳ", "1a", "²", ".1"])
    func `Other texts are no numbers`(_ text: String) {
        #expect(WrittenNumber.of(text) == nil, "\(text)")
    }
}
