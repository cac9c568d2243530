# The part of nixpkgs' lib that the module uses, small enough to be carried: for machines with Nix and without nixpkgs.
# What it leaves out: error positions, disabledModules, freeform types, types of packages.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    replaceStrings
    sort
    stringLength
    substring
    toJSON
    ;

  tagged = _type: content: content // { inherit _type; };
  is = tag: value: isAttrs value && value._type or "" == tag;

  mkOption = tagged "option";
  mkIf = condition: content: tagged "if" { inherit condition content; };
  mkMerge = contents: tagged "merge" { inherit contents; };
  mkOverride = priority: content: tagged "override" { inherit priority content; };
  mkOrder = order: content: tagged "order" { inherit order content; };

  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) (filter (name: keep name set.${name}) (attrNames set))
    );

  # Conditions are left for later: deciding them here, for every option at once, could need the very option that is asked for.
  pushed =
    definition:
    if is "merge" definition then
      concatMap pushed definition.contents
    else if is "if" definition then
      map (mapAttrs (_: mkIf definition.condition)) (pushed definition.content)
    else
      [ definition ];

  # the values that are meant, each with its priority and order
  discharged =
    definition:
    if is "merge" definition then
      concatMap discharged definition.contents
    else if is "if" definition then
      (if definition.condition then discharged definition.content else [ ])
    else if is "override" definition then
      map (found: found // { inherit (definition) priority; }) (discharged definition.content)
    else if is "order" definition then
      map (found: found // { inherit (definition) order; }) (discharged definition.content)
    else
      [
        {
          value = definition;
          priority = 100;
          order = 1000;
        }
      ];

  # those of the strongest priority, in order
  strongest =
    definitions:
    let
      found = concatMap discharged definitions;
      priority = foldl' (a: b: if a < b.priority then a else b.priority) 9999 found;
      left = filter (one: one.priority == priority) found;
    in
    map (one: one.value) (sort (a: b: a.order < b.order) left);

  # one value of a type from its definitions
  merged =
    path: type: definitions:
    let
      values = strongest definitions;
      wrong = filter (value: !type.check value) values;
    in
    if wrong != [ ] then
      throw "${concatStringsSep "." path} is not of the type ${type.description}"
    else
      type.merge path values;

  equal =
    path: values:
    if length values == 1 || all (value: value == head values) values then
      head values
    else
      throw "${concatStringsSep "." path} has conflicting definitions";

  mkType =
    description: check: rest:
    {
      inherit description check;
      merge = equal;
    }
    // rest;

  anything = mkType "anything" (_: true) {
    merge =
      path: values:
      if all isAttrs values then (types.attrsOf anything).merge path values else equal path values;
  };

  types = {
    inherit anything;
    bool = mkType "boolean" isBool { };
    str = mkType "string" isString { };
    lines = mkType "strings concatenated with \"\\n\"" isString {
      merge = _: concatStringsSep "\n";
    };
    package = mkType "package" (value: isAttrs value && value ? outPath) { };
    strMatching =
      pattern:
      mkType "string matching the pattern ${pattern}" (
        value: isString value && match pattern value != null
      ) { };
    enum =
      words: mkType "one of ${concatStringsSep ", " (map toJSON words)}" (value: elem value words) { };
    ints = {
      positive = mkType "positive integer" (value: isInt value && value > 0) { };
      between =
        low: high:
        mkType "integer between ${toString low} and ${toString high} (both inclusive)" (
          value: isInt value && value >= low && value <= high
        ) { };
    };
    nullOr =
      inner:
      mkType "null or ${inner.description}" (value: value == null || inner.check value) {
        inherit inner;
        merge =
          path: values: if all (value: value == null) values then null else merged path inner values;
      };
    either =
      one: other:
      mkType "${one.description} or ${other.description}" (value: one.check value || other.check value) {
        inner = if other ? modules then other else one;
        merge = path: values: merged path (if all one.check values then one else other) values;
      };
    listOf =
      inner:
      mkType "list of ${inner.description}" isList {
        merge = path: values: map (value: merged path inner [ value ]) (concatLists values);
      };
    attrsOf =
      inner:
      mkType "attribute set of ${inner.description}" isAttrs {
        inherit inner;
        placeholder = "<name>";
        merge =
          path: values:
          let
            names = attrNames (foldl' (a: b: a // b) { } values);
            of = name: map (value: value.${name}) (filter (value: value ? ${name}) values);
            meant = filter (name: strongest (of name) != [ ]) names;
          in
          listToAttrs (
            map (name: {
              inherit name;
              value = merged (path ++ [ name ]) inner (of name);
            }) meant
          );
        join = other: types.attrsOf (inner.join other.inner);
      };
    submodule = module: types.submodules [ module ];
    submodules =
      modules:
      mkType "submodule" (value: isAttrs value || isFunction value) {
        inherit modules;
        merge =
          path: values:
          (evalModules {
            inherit path;
            modules = modules ++ values;
            args.name = elemAt path (length path - 1);
          }).config;
        join = other: types.submodules (modules ++ other.modules);
      };
  };

  # two declarations of one option
  joined =
    one: other:
    one
    // other
    // (
      if one ? type && other ? type then
        { type = one.type.join other.type; }
      else
        { }
    );

  declared =
    one: other:
    if is "option" one then
      joined one other
    else
      one
      // mapAttrs (name: value: if one ? ${name} then declared one.${name} value else value) other;

  evalModules =
    {
      modules,
      args ? { },
      path ? [ ],
    }:
    let
      called =
        module:
        let
          given = if isPath module then import module else module;
          found = if isFunction given then given ({ inherit config; } // args) else given;
          plain = !(found ? options || found ? config);
        in
        concatMap called (found.imports or [ ])
        ++ [
          {
            file = if isPath module then toString module else null;
            options = found.options or { };
            config = if plain then removeAttrs found [ "imports" ] else found.config or { };
          }
        ];
      # a file that is imported twice counts once
      once =
        found: module:
        if module.file != null && any (other: other.file == module.file) found then
          found
        else
          found ++ [ module ];
      all' = foldl' once [ ] (concatMap called modules);
      options = foldl' declared { } (map (module: module.options) all');
      config = node path options (map (module: module.config) all');
    in
    {
      inherit options config;
    };

  node =
    path: options: definitions:
    let
      sets = concatMap pushed definitions;
      of = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
      unknown = filter (name: !(options ? ${name})) (concatMap attrNames sets);
      below =
        name: option:
        if is "option" option then
          value (path ++ [ name ]) option (of name)
        else
          node (path ++ [ name ]) option (of name);
    in
    if unknown != [ ] then
      throw "there is no option ${concatStringsSep "." (path ++ [ (head unknown) ])}"
    else
      mapAttrs below options;

  value =
    path: option: definitions:
    let
      default = if option ? default then [ (mkOverride 1500 option.default) ] else [ ];
      apply = option.apply or (value: value);
    in
    if strongest (definitions ++ default) == [ ] then
      throw "${concatStringsSep "." path} is not set"
    else
      apply (merged path option.type (definitions ++ default));

  ends =
    suffix: text:
    stringLength text >= stringLength suffix
    && substring (stringLength text - stringLength suffix) (stringLength suffix) text == suffix;
in
{
  inherit
    concatLists
    evalModules
    filterAttrs
    is
    mapAttrs
    mkIf
    mkMerge
    mkOption
    mkOverride
    mkOrder
    types
    ;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkBefore = mkOrder 500;
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
  mkPackageOption =
    pkgs: name: _:
    mkOption {
      type = types.package;
      default = pkgs.${name};
      defaultText = tagged "literal" { text = "pkgs.${name}"; };
      description = "The ${name} package to use.";
    };
  literalExpression = text: tagged "literal" { inherit text; };
  importTOML = path: fromTOML (builtins.readFile path);
  optional = condition: item: if condition then [ item ] else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  genAttrs =
    names: value:
    listToAttrs (
      map (name: {
        inherit name;
        value = value name;
      }) names
    );
  nameValuePair = name: value: { inherit name value; };
  mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
  mapAttrsToList = change: set: attrValues (mapAttrs change set);
  toList = item: if isList item then item else [ item ];
  inherit concatStringsSep;
  escapeShellArgs =
    let
      plain = word: match "[[:alnum:],._+:@%/=-]+" word != null;
      quoted = word: "'${replaceStrings [ "'" ] [ "'\\''" ] word}'";
    in
    words: concatStringsSep " " (map (word: if plain word then word else quoted word) words);
  removeSuffix =
    suffix: text:
    if ends suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
  hasInfix = part: text: replaceStrings [ part ] [ "" ] text != text;
  splitString = separator: text: filter isString (builtins.split separator text);
  trim =
    text:
    let
      inner = match "[ \t\n]*([^ \t\n].*[^ \t\n]|[^ \t\n])[ \t\n]*" text;
    in
    if inner == null then "" else head inner;
}
