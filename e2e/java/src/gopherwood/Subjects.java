package gopherwood;

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;

/** Prints the subject of the certificate in each file, as ZooKeeper's X509AuthenticationProvider makes an identity of it. */
final class Subjects {
    private Subjects() {}

    public static void main(String[] files) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (String file : files) {
            try (InputStream in = new FileInputStream(file)) {
                System.out.println(((X509Certificate) factory.generateCertificate(in)).getSubjectX500Principal().getName());
            }
        }
    }
}
