import Keybutton

/// Names as the core spells them: `NoAccessGroup`, `noAccessGroup` are `no-access-group`.
func kebab(_ value: Any) -> String {
    let name = String(String(describing: value).prefix { $0 != "(" })
    var spelled = ""
    for letter in name {
        if letter.isUppercase && !spelled.isEmpty { spelled += "-" }
        spelled += letter.lowercased()
    }
    return spelled
}

extension ButtonState {
    var spelled: String {
        switch self {
        case .visible: "visible"
        case .hidden(let reason): "hidden:\(kebab(reason))"
        }
    }
}

extension Check {
    var spelled: String {
        switch result {
        case .passed: "passed"
        case .skipped: "skipped"
        case .warning(let code): "warning:\(code.code())"
        case .failed(let code): "failed:\(code.code())"
        }
    }
}
