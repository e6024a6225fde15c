use super::*;

fn rewritten(rtype: &str, text: &str) -> Result<String, String> {
    data_from(type_from(rtype).unwrap(), text).map(|data| data_text(&data))
}

#[test]
fn what_is_written_is_read_again() {
    for (rtype, text) in [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("CNAME", "www.example.com."),
        ("NS", "ns1.example.com."),
        ("PTR", "host.example.com."),
        ("DNAME", "example.net."),
        ("MX", "10 mail.example.com."),
        ("SRV", "10 5 443 www.example.com."),
        ("CAA", "0 issue \"ca.example.net\""),
        ("NAPTR", "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example.com."),
        ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
        ("SSHFP", "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"),
        ("HTTPS", "1 . alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1,192.0.2.2"),
        ("SVCB", "0 pool.example.com."),
        ("TXT", "v=spf1 \"include:x\" -all \\ ü"),
        ("TXT", ""),
        ("TYPE65280", "\\# 3 0a0b0c"),
        ("TYPE65280", "\\# 0"),
        ("LOC", "\\# 2 00ff"),
    ] {
        assert_eq!(rewritten(rtype, text).as_deref(), Ok(text), "{rtype}");
    }
}

#[test]
fn names_in_data_are_absolute_and_in_ascii() {
    for (rtype, text, expected) in [
        ("CNAME", "www.example.com", "www.example.com."),
        ("CNAME", "bücher.example", "xn--bcher-kva.example."),
        ("MX", "10 mail.example.com", "10 mail.example.com."),
        ("SRV", "1 2 3 a.example", "1 2 3 a.example."),
        ("MX", "  10   mail.example.com. ", "10 mail.example.com."),
        ("A", "\\# 4 c0000201", "192.0.2.1"),
        ("MX", "\\# 5 000a 01 6100", "10 a."),
    ] {
        if text.is_ascii() {
            assert_eq!(rewritten(rtype, text).as_deref(), Ok(expected), "{rtype} {text}");
        } else {
            assert!(rewritten(rtype, text).unwrap_err().contains("printable"), "{rtype} {text}");
        }
    }
}

#[test]
fn what_is_no_data_is_said() {
    let long = "x".repeat(MAX_DATA + 1);
    for (rtype, text, word) in [
        ("A", "192.0.2.256", "IPv4"),
        ("A", "192.0.2.1 192.0.2.2", "IPv4"),
        ("A", "2001:db8::1", "IPv4"),
        ("AAAA", "192.0.2.1", "IPv6"),
        ("CNAME", "a..b", "no domain name"),
        ("CNAME", "a b", "no domain name"),
        ("MX", "mail.example.com.", "1 fields instead of 2"),
        ("MX", "10 mail.example.com. more", "3 fields"),
        ("MX", "70000 mail.example.com.", "written like"),
        ("SRV", "1 2 a.example.com.", "3 fields instead of 4"),
        ("TLSA", "3 1", "written like"),
        ("MX", "10 a.\n", "printable"),
        ("LOC", "52 22 23.000 N", "RFC 3597"),
        ("A", "\\# 4 c00002", "3 bytes instead of 4"),
        ("A", "\\# 3 c00002", ""),
        ("A", "\\# four", "number of bytes"),
        ("A", "\\# 1 0", "pairs"),
        ("TXT", &long, "4097 bytes"),
    ] {
        let error = rewritten(rtype, text).unwrap_err();
        assert!(error.contains(word) && error.contains(rtype), "{rtype} {text}: {error}");
    }
}

#[test]
fn a_long_text_is_split_over_full_strings() {
    let data = data_from(RecordType::TXT, &"x".repeat(600)).unwrap();
    let hickory_proto::rr::RData::TXT(txt) = data else { panic!("it is a TXT record") };
    assert_eq!(txt.txt_data.iter().map(|string| string.len()).collect::<Vec<_>>(), [255, 255, 90]);
}

#[test]
fn types_have_their_names() {
    for (text, code) in
        [("A", 1), ("aaaa", 28), ("HTTPS", 65), ("LOC", 29), ("DNAME", 39), ("TYPE65280", 65280), ("TYPE1", 1)]
    {
        assert_eq!(type_from(text).map(u16::from), Some(code), "{text}");
    }
    for text in ["", "*", "B", "TYPE", "TYPE65536", "TYPE-1", "TYPE01", "TYPE+1", "A ", "Unknown"] {
        assert_eq!(type_from(text), None, "{text}");
    }
    for code in 0..=u16::MAX {
        let rtype = RecordType::from(code);
        assert_eq!(type_from(&type_text(rtype)).map(u16::from), Some(code), "{}", type_text(rtype));
    }
}

#[test]
fn names_are_read_as_people_write_them() {
    for (text, expected) in [
        ("WWW.Example.com", "www.example.com"),
        ("www.example.com.", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        (".", "."),
        ("_sip._udp.example.com", "_sip._udp.example.com"),
        ("*.example.com", "*.example.com"),
    ] {
        assert_eq!(name_text(&name_from(text).unwrap()), expected, "{text}");
    }
    let long_label = format!("{}.example", "x".repeat(64));
    let long_name = ["x".repeat(60).as_str(); 5].join(".");
    for text in ["", "a..b", "a b", &long_label, &long_name, "a\n.example"] {
        assert!(name_from(text).is_err(), "{text}");
    }
}
