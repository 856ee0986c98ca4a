import Foundation

@MainActor @preconcurrency
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { return fatalError() }
}

/// A view that draws itself.
public protocol Drawn: View where Body == Never {}
extension Drawn {
    public var body: Never { return fatalError() }
}

@resultBuilder
public enum ViewBuilder {
    public static func buildExpression<V: View>(_ view: V) -> V { view }
    public static func buildBlock<V: View>(_ view: V) -> V { view }
    public static func buildBlock<each V: View>(_ view: repeat each V) -> Several { Several() }
    public static func buildIf<V: View>(_ view: V?) -> V? { view }
    public static func buildEither<A: View, B: View>(first: A) -> Either<A, B> { Either() }
    public static func buildEither<A: View, B: View>(second: B) -> Either<A, B> { Either() }
}

public struct Several: Drawn {}
public struct Either<A: View, B: View>: Drawn {}
extension Optional: View where Wrapped: View {
    public var body: Never { return fatalError() }
}

public struct Text: Drawn {
    public init(_ key: String) {}
    public init(verbatim: String) {}
}

public struct Image: Drawn {
    public init(systemName: String) {}
}

public struct Button: Drawn {
    public init<Label: View>(
        action: @escaping @MainActor () -> Void, @ViewBuilder label: () -> Label
    ) {}
    public init(_ title: String, action: @escaping @MainActor () -> Void) {}
}

public struct VStack: Drawn {
    public init<C: View>(
        alignment: HorizontalAlignment = .center, spacing: CGFloat? = nil, @ViewBuilder content: () -> C
    ) {}
}

public struct ZStack: Drawn {
    public init<C: View>(alignment: Alignment = .center, @ViewBuilder content: () -> C) {}
}

public struct NavigationStack: Drawn {
    public init<C: View>(@ViewBuilder root: () -> C) {}
}

public struct List: Drawn {
    public init<C: View>(@ViewBuilder content: () -> C) {}
}

public struct ForEach: Drawn {
    public init<D: RandomAccessCollection, ID: Hashable, C: View>(
        _ data: D, id: KeyPath<D.Element, ID>, @ViewBuilder content: @escaping (D.Element) -> C
    ) {}
}

public struct HorizontalAlignment: Sendable {
    public static let center = Self(), leading = Self(), trailing = Self()
}

public struct Alignment: Sendable {
    public static let center = Self(), bottomTrailing = Self()
}

public struct Font: Sendable {
    public static let title = Self(), headline = Self(), subheadline = Self()
}

public protocol ShapeStyle: Sendable {}

public struct Color: ShapeStyle, Drawn {
    public nonisolated static let accentColor = Self(), orange = Self(), green = Self(), red = Self(), white = Self()
    public func opacity(_ opacity: Double) -> Color { self }
}

extension ShapeStyle where Self == Color {
    public static var white: Color { .accentColor }
}

public protocol Shape: Drawn {}
public struct Circle: Shape { public init() {} }
public struct RoundedRectangle: Shape { public init(cornerRadius: CGFloat) {} }

public protocol PrimitiveButtonStyle {}
public struct PlainButtonStyle: PrimitiveButtonStyle {}
extension PrimitiveButtonStyle where Self == PlainButtonStyle {
    public static var plain: PlainButtonStyle { PlainButtonStyle() }
}

public struct PulseSymbolEffect: Sendable {}
extension PulseSymbolEffect {
    public static var pulse: PulseSymbolEffect { PulseSymbolEffect() }
}

public enum Visibility: Sendable { case automatic, visible, hidden }
public enum AccessibilityChildBehavior: Sendable { case ignore, contain, combine }

@MainActor @propertyWrapper
public struct State<Value> {
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public var wrappedValue: Value
}

@MainActor @propertyWrapper
public struct Binding<Value> {
    public init(get: @escaping @MainActor () -> Value, set: @escaping @MainActor (Value) -> Void) {
        wrappedValue = get()
    }
    public var wrappedValue: Value
}

extension View {
    public func font(_ font: Font?) -> some View { self }
    public func foregroundStyle<S: ShapeStyle>(_ style: S) -> some View { self }
    public func frame(width: CGFloat? = nil, height: CGFloat? = nil) -> some View { self }
    public func padding(_ length: CGFloat? = nil) -> some View { self }
    public func background<S: ShapeStyle, T: Shape>(_ style: S, in shape: T) -> some View { self }
    public func symbolEffect(_ effect: PulseSymbolEffect, isActive: Bool = true) -> some View { self }
    public func buttonStyle<S: PrimitiveButtonStyle>(_ style: S) -> some View { self }
    public func navigationTitle(_ title: String) -> some View { self }
    public func overlay<V: View>(alignment: Alignment = .center, @ViewBuilder content: () -> V) -> some View { self }
    public func task(_ action: @escaping @Sendable @MainActor () async -> Void) -> some View { self }
    public func accessibilityLabel(_ label: Text) -> some View { self }
    public func accessibilityElement(children: AccessibilityChildBehavior) -> some View { self }
    public func confirmationDialog<A: View>(
        _ title: String, isPresented: Binding<Bool>, titleVisibility: Visibility = .automatic,
        @ViewBuilder actions: () -> A
    ) -> some View { self }
}

@MainActor @preconcurrency
public protocol Scene {}
public struct WindowGroup: Scene {
    public init<C: View>(@ViewBuilder content: () -> C) {}
}

@MainActor @preconcurrency
public protocol App {
    associatedtype Body: Scene
    var body: Body { get }
    init()
}
extension App {
    public static func main() {}
}
